"""What can be prepared to take home, declared once: the page, the job and the command line read it here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Owner = Literal["run", "prediction_set", "label_set"]
MASKS: tuple[Owner, ...] = ("prediction_set", "label_set")
RUN: tuple[Owner, ...] = ("run",)


class UnknownFormat(ValueError):
    """There is no such format. The sentence lists those that there are."""


@dataclass(frozen=True)
class Format:
    """One kind of file that a job makes.

    `owners` are what it can be made of; `suffix` is its file's; `thresholded` says that it depends on the mask
    threshold; `sentence` says what is in it.
    """

    name: str
    title: str
    sentence: str
    suffix: str
    owners: tuple[Owner, ...]

    @property
    def thresholded(self) -> bool:
        return self.owners == MASKS


FORMATS = {
    made.name: made
    for made in (
        Format(
            "coco",
            "COCO JSON, objects",
            "One annotation for each object: polygons, and RLE where an object has holes.",
            "json",
            MASKS,
        ),
        Format(
            "coco-rle",
            "COCO JSON, objects to the pixel",
            "One annotation for each object, all as RLE: exactly the pixels of the mask.",
            "json",
            MASKS,
        ),
        Format(
            "coco-image",
            "COCO JSON, whole images",
            "One annotation for each image: its whole mask as RLE, marked as a crowd where it is several objects.",
            "json",
            MASKS,
        ),
        Format(
            "yolo",
            "YOLO segmentation (zip)",
            "One text file for each image with a polygon for each object, data.yaml and the lists of images.",
            "zip",
            MASKS,
        ),
        Format(
            "report",
            "Report (HTML)",
            "One page that opens without a network: scores, curves, settings, best and worst masks.",
            "html",
            RUN,
        ),
        Format("keras", "Model for Keras (zip)", "The .keras file, a model card and an example that runs.", "zip", RUN),
        Format(
            "savedmodel",
            "Model as SavedModel (zip)",
            "For TensorFlow and TensorFlow Serving, with a model card and an example that runs.",
            "zip",
            RUN,
        ),
        Format(
            "onnx",
            "Model as ONNX (zip)",
            "For ONNX Runtime and others, compared with the Keras model, with a model card and an example that runs.",
            "zip",
            RUN,
        ),
    )
}


def find_format(name: str) -> Format:
    """Return a format by its name.

    Raises:
        UnknownFormat: there is none.
    """
    if name not in FORMATS:
        raise UnknownFormat(f"There is no format {name!r}. Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def formats_of(owner: Owner) -> tuple[Format, ...]:
    """Return the formats that can be made of a kind of thing."""
    return tuple(made for made in FORMATS.values() if owner in made.owners)
