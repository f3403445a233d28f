"""Which file is truth of which image, by folder and name alone.

A file is truth if a folder on its way is called truth, masks, labels, gt … in any case, or if its name ends in `_mask`
or the like. It belongs to the image with the same stem in the same place, where images/ and the truth folder itself
do not count as places: train/images/a.jpg has train/truth/a.png, and images/train/a.jpg has masks/train/a.png.
A truth mask that finds nothing there belongs to the one image of its stem anywhere, if there is only one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.datasets.source import IMAGE_SUFFIXES, Entry

TRUTH_FOLDERS = frozenset(
    {"truth", "truths", "mask", "masks", "label", "labels", "gt", "groundtruth", "ground_truth", "ground-truth"}
    | {"annotation", "annotations", "segmentation", "segmentations", "segmentationclass"}
)
IMAGE_FOLDERS = frozenset(
    {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "input", "inputs", "jpegimages"}
)
_TRUTH_ENDING = re.compile(r"[ _-](mask|truth|gt|label|labels|seg|segmentation)$", re.IGNORECASE)
_UNLABELLED = re.compile(r"un-?_?labell?ed", re.IGNORECASE)

Place = tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """The name of an image and of its truth mask, if it has one."""

    image: str
    truth: str | None


def pair(names: Iterable[str]) -> tuple[list[Pair], list[Entry]]:
    """Return all images in the order given, each with its truth, and the entries for truth that belongs to none.

    Names are relative paths with forward slashes.
    """
    names = list(names)
    in_folder = [name for name in names if _truth_depth(name) is not None]
    beside = _named_as_truth(sorted(set(names) - set(in_folder)))
    truths = sorted([*in_folder, *beside])
    is_truth = set(truths)
    images = [name for name in names if name not in is_truth]
    owner_of_place: dict[tuple[Place, str], list[str]] = defaultdict(list)
    owner_of_stem: dict[str, list[str]] = defaultdict(list)
    for image in images:
        owner_of_place[_place(image), _stem(image)].append(image)
        if not any(_UNLABELLED.fullmatch(part) for part in PurePosixPath(image).parts):
            owner_of_stem[_stem(image)].append(image)

    truth_of: dict[str, str] = {}
    entries: list[Entry] = []
    leftover: list[str] = []
    for truth in truths:
        found = next((f for stem in _truth_stems(truth) if (f := owner_of_place.get((_place(truth), stem)))), None)
        if found:
            _assign(truth, found, truth_of, entries)
        else:
            leftover.append(truth)
    for truth in leftover:
        found = next((f for stem in _truth_stems(truth) if len(f := owner_of_stem.get(stem, [])) == 1), None)
        if found:
            _assign(truth, found, truth_of, entries)
        else:
            entries.append(Entry(truth, False, "It is truth, and there is no image of the same name for it."))
    return [Pair(image, truth_of.get(image)) for image in images], entries


def _assign(truth: str, images: list[str], truth_of: dict[str, str], entries: list[Entry]) -> None:
    if images[0] in truth_of:  # then all of them are
        entries.append(Entry(truth, False, f"The image already has its truth from {truth_of[images[0]]}."))
        return
    truth_of.update(dict.fromkeys(images, truth))


def _named_as_truth(names: list[str]) -> list[str]:
    """Return the names that end like truth, if any of them has its image beside it.

    Only then is the ending a convention: a single party_mask.jpg is a photograph.
    """
    known = {(PurePosixPath(name).parent, _stem(name)) for name in names}
    ending = [name for name in names if _TRUTH_ENDING.search(_stem(name))]
    if any((PurePosixPath(name).parent, _TRUTH_ENDING.sub("", _stem(name))) in known for name in ending):
        return ending
    return []


def _truth_depth(name: str) -> int | None:
    """Return which of the folders on the way makes a file truth: the innermost that is called so."""
    folders = PurePosixPath(name).parts[:-1]
    return max((depth for depth, folder in enumerate(folders) if folder.lower() in TRUTH_FOLDERS), default=None)


def _place(name: str) -> Place:
    """Return the folders of a file without the one that says what kind of file it is."""
    folders = PurePosixPath(name).parts[:-1]
    depth = _truth_depth(name)
    if depth is None:
        kinds = [depth for depth, folder in enumerate(folders) if folder.lower() in IMAGE_FOLDERS]
        depth = kinds[-1] if kinds else None
    return tuple(folder.casefold() for index, folder in enumerate(folders) if index != depth)


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return (path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name).casefold()


def _truth_stems(name: str) -> list[str]:
    """Return the image stems that a truth mask may belong to, likeliest first: a, a from a_mask, a from a.jpg.png."""
    stem = _stem(name)
    stems = [stem, _TRUTH_ENDING.sub("", stem)]
    return list(dict.fromkeys([*stems, *(_stem(other) for other in stems)]))
