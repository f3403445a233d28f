"""What a reader of annotation files is, and which there are: one for each module here with an ANNOTATIONS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from engine.core.plugins import plugins
from engine.datasets import annotations as annotation_modules
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.shapes import Shape
from engine.datasets.source import Entry, is_document_name

HEAD_BYTES = 16 << 10
"""How much of the beginning of a file `recognises` is given, at least; less only if the file is shorter."""

BOXES_ONLY = "It contains boxes only; Maskloom needs outlines or masks."


@dataclass(frozen=True)
class AnnotationSet:
    """What annotation files say about the images of an import.

    `classes` names class 1…K, at most 254. `shapes` are by image name, in the order in which they are drawn
    (`engine.datasets.annotations.shapes.draw`); an image with no shape is all background, and one that is not a key has
    no annotations. `entries` are the lines of the report. `sizes` are the (height, width) that the files declare, where
    they do. `formats` are the titles of the formats that were read.
    """

    classes: tuple[str, ...]
    shapes: Mapping[str, tuple[Shape, ...]]
    entries: tuple[Entry, ...]
    sizes: Mapping[str, tuple[int, int]]
    formats: tuple[str, ...] = ()

    def size_note(self, image: str, shape: tuple[int, int]) -> str:
        """Return a sentence if the size that was declared for an image is not its (height, width), else ""."""
        declared = self.sizes.get(image, shape)
        if declared == tuple(shape):
            return ""
        return (
            f"Its annotations are for an image of {declared[1]} × {declared[0]} pixels, and it has "
            f"{shape[1]} × {shape[0]}; they were drawn as they are."
        )


@dataclass(frozen=True)
class Annotations:
    """A format of annotation files.

    `recognises(name, head)` returns whether a file is of this format, by its name and its first bytes.
    `read(documents, images)` reads all files of the format in one source; `images` are the names of the source's
    images, relative paths with forward slashes. Both take any content: what is wrong with a file is a sentence in the
    entries, one entry for each document, and nothing is raised.
    """

    name: str
    title: str
    recognises: Callable[[str, bytes], bool]
    read: Callable[[Sequence[Document], Sequence[str]], AnnotationSet]


@cache
def annotation_formats() -> dict[str, Annotations]:
    """Return every format by name; installed packages may add some (`maskloom.annotations`)."""
    return dict(sorted(plugins(annotation_modules, "ANNOTATIONS", Annotations).items()))


def format_of(name: str, head: bytes) -> Annotations | None:
    """Return the format that recognises a file by its name and first bytes, or None."""
    if not is_document_name(name):
        return None
    return next((each for each in annotation_formats().values() if each.recognises(name, head)), None)
