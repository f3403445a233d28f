"""Truth from annotation files: which images of a source they describe, and what is drawn for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from engine.datasets.annotations.base import BOXES_ONLY, AnnotationSet
from engine.datasets.annotations.collection import EMPTY
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.image_names import ImageNames
from engine.datasets.annotations.reading import read_annotations
from engine.datasets.annotations.shapes import IGNORE, draw
from engine.datasets.source import Entry, Source
from engine.datasets.truth_file import IGNORED, Key, TruthFile

MOST_SHOWN = 8
"""So many class names are in a sentence at most."""

_BESIDE_MASKS = "It contains boxes only, and its image has its truth from {mask}."
_ELSEWHERE = "It has no object; those of {image} are in another file."
_MASKS_TAKEN = "The images that it describes have their truth from masks, which are taken."


@dataclass(frozen=True, eq=False)
class Outlines:
    """What annotation files say of one image. Only shapes are held; the truth is drawn when it is needed."""

    image: str
    found: AnnotationSet = field(repr=False)

    @property
    def size(self) -> tuple[int, int] | None:
        """The (height, width) that the files declare, or None."""
        return self.found.sizes.get(self.image)

    def truth(self, shape: tuple[int, int]) -> TruthFile:
        """Return the truth at (height, width), in the coordinates of the files; its keys are the names of classes."""
        drawn = draw(self.found.shapes[self.image], shape)
        keys: tuple[Key, ...] = (0, *self.found.classes, IGNORED)
        drawn[drawn == IGNORE] = len(keys) - 1
        return TruthFile(drawn, keys, (-1,) * len(keys))


@dataclass(frozen=True)
class OutlineSet:
    """What annotation files give to an import.

    `of_image` are the images that have their truth from them, by name; `classes` the names of its classes, "ignore"
    the last if a region is ignored. `taken` and `left_out` are the lines of the report; `notes` are sentences.
    """

    of_image: Mapping[str, Outlines]
    classes: tuple[str, ...] = ()
    taken: tuple[Entry, ...] = ()
    left_out: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()


def read_outlines(source: Source, masks: Mapping[str, str]) -> OutlineSet:
    """Read the annotation files of a source.

    Args:
        masks: for each image of the import the name of its mask file, "" if it has none. A mask wins over outlines.
    """
    if not source.documents:
        return OutlineSet({})
    documents = [Document(file.name, partial(source.read, file)) for file in source.documents]
    found = read_annotations(documents, list(masks))
    of_image = {name: Outlines(name, found) for name in masks if name in found.shapes and not masks[name]}
    beside = sum(1 for name in found.shapes if masks[name])
    names = {document.name for document in documents}
    entries = _explained([entry for entry in found.entries if entry.name in names], found, masks)
    if beside and not of_image:
        entries = [Entry(entry.name, False, _MASKS_TAKEN) if entry.taken else entry for entry in entries]
    taken = tuple(entry for entry in entries if entry.taken)
    notes = [f"{entry.name}: {entry.reason}" for entry in found.entries if entry.name not in names]
    if beside:
        images = "1 image has a mask and outlines" if beside == 1 else f"{beside:,} images have masks and outlines"
        notes.insert(0, f"{images}; the {'mask is' if beside == 1 else 'masks are'} taken.")
    if of_image:
        notes.insert(0, _summary(len(of_image), [entry.name for entry in taken], found))
    ignored = any(shape.value == IGNORE for name in of_image for shape in found.shapes[name])
    classes = (*found.classes, *([IGNORED] if ignored else [])) if of_image else ()
    left_out = tuple(entry for entry in entries if not entry.taken)
    return OutlineSet(of_image, classes, taken, left_out, tuple(notes))


def _explained(entries: list[Entry], found: AnnotationSet, masks: Mapping[str, str]) -> list[Entry]:
    """Return entries whose reasons are true beside the masks and the files of other formats."""
    with_masks = ImageNames([name for name, mask in masks.items() if mask])
    with_shapes = ImageNames([name for name, shapes in found.shapes.items() if shapes])
    explained = []
    for entry in entries:
        if entry.reason.startswith(BOXES_ONLY) and (image := with_masks.of_stem(entry.name)):
            entry = replace(entry, reason=_BESIDE_MASKS.format(mask=masks[image]))
        elif entry.reason.endswith(EMPTY) and (image := with_shapes.of_stem(entry.name)):
            entry = replace(entry, reason=entry.reason.replace(EMPTY, _ELSEWHERE.format(image=image)))
        explained.append(entry)
    return explained


def _summary(count: int, files: list[str], found: AnnotationSet) -> str:
    images = "1 image has its truth" if count == 1 else f"{count:,} images have their truth"
    files_text = files[0] if len(files) == 1 else f"{len(files):,} annotation files"
    shown = ", ".join(found.classes[:MOST_SHOWN]) + (", …" if len(found.classes) > MOST_SHOWN else "")
    classes = f", classes: {shown}" if shown else ""
    return f"{images} from outlines in {files_text} ({', '.join(found.formats)}){classes}."
