"""What the names of folders and files say: which hold images, which truth, and what of a name is the image's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from engine.datasets.source import IMAGE_SUFFIXES

Kind = Literal["image", "truth", "perhaps truth", ""]

TRUTH_WORDS = frozenset(
    {"truth", "truths", "mask", "masks", "label", "labels", "gt", "gts", "groundtruth", "groundtruths"}
    | {"annotation", "annotations", "annot", "annots", "anno", "annos", "segmentation", "segmentations"}
    | {"seg", "segs", "segm", "labelmap", "labelmaps", "trimap", "trimaps", "msk", "msks", "lbl", "lbls"}
    | {"gtfine", "gtcoarse", "labelids", "labeltrainids", "instanceids", "instancetrainids", "1stho", "2ndho"}
)
PERHAPS_TRUTH_WORDS = frozenset(
    {
        "y",
        "target",
        "targets",
        "output",
        "outputs",
        "manual",
        "manuals",
        "reference",
        "references",
        "semantic",
        "semantics",
    }
    | {"instance", "instances", "panoptic", "lab", "labs", "labeled", "labelled", "annotated", "segmented", "matte"}
    | {"mattes", "foreground", "overlay", "overlays"}
)
"""Folders of these names hold truth only beside a folder of images in which their names recur."""

TRUTH_ENDINGS = frozenset({"l", "y", "target", "bw", "bin", "binary", "output", "out", "matte", "alpha", "lab", "fg"})
"""Endings of file names that say nothing outside of a folder of truth."""

IMAGE_WORDS = frozenset(
    {"image", "images", "img", "imgs", "im", "ims", "photo", "photos", "picture", "pictures", "pic", "pics", "input"}
    | {"inputs", "raw", "raws", "x", "original", "originals", "orig", "source", "sources", "src", "leftimg8bit", "sat"}
    | {"rgb", "frame", "frames", "scan", "volume", "vol", "ortho"}
)
_IMAGE_FOLDER_WORDS = IMAGE_WORDS - {"sat", "rgb", "frame", "frames", "scan", "volume", "vol", "ortho"}
CODING_WORDS = frozenset(
    {"color", "colors", "colour", "colours", "rgb", "viz", "vis", "visualization", "instance", "instances", "object"}
    | {
        "objects",
        "class",
        "classes",
        "semantic",
        "semantics",
        "binary",
        "bw",
        "ids",
        "panoptic",
        "track",
        "tra",
        "man",
        "manual",
    }
    | {"human", "machine", "1st", "2nd", "ah", "vk", "cp", "coarse", "fine", "pred", "predicted", "prediction"}
    | {"predictions", "edge", "edges", "boundary", "boundaries", "contour", "contours", "id", "simple", "of"}
    | {"colormap", "colormaps", "colored", "coloured", "overlay", "overlays"}
)
"""Words beside a truth word that say how the truth is coded or who drew it, not which image it is of."""

_SPLITS = {"training": "train", "testing": "test", "valid": "val", "validation": "val", "validate": "val"}
_SPLIT_WORDS = frozenset({"train", "test", "val", *_SPLITS})
_FORMAT_WORDS = frozenset({"png", "pngs", "jpg", "jpgs", "jpeg", "jpegs", "tif", "tiff", "bmp", "gif"})
_FILLERS = _FORMAT_WORDS | {"all", "the", "of"}
_BARE_OF = IMAGE_WORDS | _FORMAT_WORDS | {"t", "man"}
_NUMBERED_WORDS = TRUTH_WORDS | IMAGE_WORDS | CODING_WORDS | {"t"}
_TRUTH_AND_CODING = TRUTH_WORDS | CODING_WORDS
_WORDS = TRUTH_WORDS | PERHAPS_TRUTH_WORDS | IMAGE_WORDS | CODING_WORDS
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_LONG_WORDS = sorted(TRUTH_WORDS | IMAGE_WORDS - {"im", "x"}, key=len, reverse=True)
_GLUED_FOLDER = re.compile(rf"(\w*?)({'|'.join(_LONG_WORDS)})")
_NUMBERED_WORD = re.compile(r"([a-z]+)(\d+)")
_CAMEL_WORD = re.compile(
    r"(?<=[a-z0-9)])(?=(?:Masks?|Labels?|GT|Seg|Segmentation|Truth|Annotation|Raw|Image)(?:$|[\W_\d]))"
)
_ENUMERATION = re.compile(r"^\w{1,2}\. +")
_SEPARATORS = re.compile(r"[\s_.\-]+")


@dataclass(frozen=True)
class FolderName:
    """What the name of one folder says.

    `words` are those that make it a folder of truth or say how that is coded; `rest` is what remains of the name, which
    a folder of images may share: "train" of train_masks. `compound` names have such a rest besides train, val, test.
    """

    kind: Kind
    words: tuple[str, ...]
    rest: str
    compound: bool


@lru_cache(4096)
def folder_name(name: str) -> FolderName:
    """Return what a folder's name says."""
    plain = _SPLITS.get(name.casefold(), name.casefold())
    words = _folder_words(name)
    kind: Kind = ""
    if any(word in TRUTH_WORDS for word in words):
        kind = "truth"
    elif any(word in _IMAGE_FOLDER_WORDS for word in words):
        kind = "image"
    elif any(word in PERHAPS_TRUTH_WORDS for word in words):
        kind = "perhaps truth"
    elif words == ["rgb"]:
        kind = "image"
    if not kind:
        return FolderName(kind, tuple(words) if set(words) <= CODING_WORDS else (), plain, False)
    said = TRUTH_WORDS | PERHAPS_TRUTH_WORDS | IMAGE_WORDS | CODING_WORDS if kind != "image" else IMAGE_WORDS
    rest = [_SPLITS.get(word, word) for word in words if word not in said and word not in _FILLERS]
    manual = kind == "perhaps truth" and "manual" in words
    if manual:
        rest = [word for word in rest if not word.isdigit()]
    own = tuple(word for word in words if word in said or (manual and word.isdigit()))
    return FolderName(kind, own, " ".join(rest), any(word not in _SPLIT_WORDS for word in rest))


def _folder_words(name: str) -> list[str]:
    words: list[str] = []
    for piece in re.split(r"[\W_]+", _ENUMERATION.sub("", name)):
        whole = piece.casefold()
        if not whole:
            continue
        if whole in _WORDS or whole in _SPLIT_WORDS:
            words.append(whole)
            continue
        for part in _CAMEL.split(piece):
            word = part.casefold()
            glued = _GLUED_FOLDER.fullmatch(word)
            if glued and (glued[1] in _SPLIT_WORDS or glued[2] == "annot"):
                words += [glued[1], glued[2]]
            else:
                words.append(word)
    return _with_ground_truth(words)


def _with_ground_truth(words: list[str]) -> list[str]:
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "ground" and word in ("truth", "truths"):
            joined[-1] = "groundtruth"
        else:
            joined.append(word)
    return joined


def stem(name: str) -> str:
    """Return the name of a file in lower case, without folders and without the suffix of an image."""
    return _split(name)[0].casefold()


def suffix(name: str) -> str:
    """Return the suffix of an image in a file's name, in lower case with its dot, or ""."""
    return _split(name)[1]


def _split(name: str) -> tuple[str, str]:
    # By hand: pathlib takes seconds for the names of 100,000 files.
    whole = name.rpartition("/")[2]
    before, dot, after = whole.rpartition(".")
    found = (dot + after).lower()
    return (before, found) if before and found in IMAGE_SUFFIXES else (whole, "")


@dataclass(frozen=True)
class Key:
    """A name that an image may have; `part` says which of several masks of that image this is ("" for the whole)."""

    name: str
    part: str = ""


@dataclass(frozen=True)
class FileName:
    """What the name of one file says.

    `words` are those that say truth, "start" or "end" where they stand (`where`; "" without any). `truth_keys` are the
    image names it would be the truth of, likeliest first, and `image_keys` what it is called as an image, without
    words such as "image".
    """

    words: tuple[str, ...]
    where: Literal["start", "end", ""]
    truth_keys: tuple[Key, ...]
    image_keys: tuple[str, ...]


def file_name(name: str) -> FileName:
    """Return what a file's name says."""
    whole, said = stem(name), tokens(name)
    keys = [Key(whole), Key(stem(whole)), Key(" ".join(said))]
    narrow, wide = _said_by(said, TRUTH_WORDS), _said_by(said, _TRUTH_AND_CODING)
    where: Literal["start", "end", ""] = ""
    for first, last in dict.fromkeys((narrow, wide)):
        before, after = said[:first], said[last:]
        numbered = len(after) == 1 and _is_number(after[0])
        if first < last and first == 0 and after:
            where = "start"
        elif first < last and (not after or numbered):
            where = "end"
        keys += [Key(name) for name in _shorter(before + after)]
        if first < last and numbered:
            keys += [Key(name, after[0]) for name in _shorter(before)]
    ending = next((at for at, word in enumerate(reversed(said)) if word not in TRUTH_ENDINGS | CODING_WORDS), len(said))
    if 0 < ending < len(said):
        keys += [Key(name) for name in _shorter(said[:-ending])]
    rest = said[: wide[0]] + said[wide[1] :]
    for parts in (1, 2):  # cell_01_02_03 may be a part of cell_01_02, or of cell_01
        if len(rest) > parts and all(_is_number(token) for token in rest[-parts:]):
            keys.append(Key(" ".join(rest[:-parts]), " ".join(rest[-parts:])))
    if len(rest) > 1 and rest[-1].isalpha():  # what it shows: retina_01_vessels of retina_01
        keys.append(Key(" ".join(rest[:-1]), rest[-1]))
    return FileName(tuple(said[slice(*wide)]), where, tuple(dict.fromkeys(keys)), tuple(dict.fromkeys(_shorter(said))))


def tokens(name: str) -> list[str]:
    """Return the words and numbers of a file's name in lower case, without folders and the suffix of an image."""
    found: list[str] = []
    for token in _SEPARATORS.split(_CAMEL_WORD.sub(" ", _split(name)[0])):
        token = token.casefold()
        numbered = _NUMBERED_WORD.fullmatch(token)
        if token in _WORDS or not numbered:
            found.append(token)
        elif numbered[1] in _NUMBERED_WORDS:
            found += [numbered[1], numbered[2]]
        else:
            found.append(token)
    return _with_ground_truth([token for token in found if token])


def _said_by(tokens: list[str], words: frozenset[str]) -> tuple[int, int]:
    """Return from where to where the last words that say truth stand: one of truth and those of `words` beside it."""
    at = next((at for at in reversed(range(len(tokens))) if tokens[at] in TRUTH_WORDS), None)
    manual = len(tokens) - 2
    if at is None and manual > 0 and tokens[manual] == "manual" and tokens[-1].isdigit():
        return manual, len(tokens)
    if at is None:
        return len(tokens), len(tokens)
    first, last = at, at + 1
    while first > 0 and tokens[first - 1] in words:
        first -= 1
    while last < len(tokens) and tokens[last] in words:
        last += 1
    return first, last


def _shorter(tokens: list[str]) -> tuple[str, str, str]:
    """Return a name as it is, without the words that say image, and without those that say training or test as well."""
    without = [token for token in tokens if token not in _BARE_OF]
    return " ".join(tokens), " ".join(without), " ".join(token for token in without if token not in _SPLIT_WORDS)


def _is_number(token: str) -> bool:
    return token.strip("()").isdigit()
