"""COCO JSON of the objects of a measurement: one annotation for each, also where they touch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.formats import coco
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_images import MeasuredImage, measured_images


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    coco.write_file(source, (_annotations(found) for found in measured_images(source)), target, progress)


def _annotations(found: MeasuredImage) -> Iterator[dict[str, Any]]:
    """Yield an annotation of each object. Outlines keep every step, as those of objects that touch have to fit."""
    for number, class_number, each in found.objects():
        pieces = each.pieces()
        if any(piece.holes for piece in pieces):
            shape: Any = coco.runs(each, found.labels.shape)
        else:
            shape = [coco.flat(piece.outer) for piece in pieces]
        yield coco.annotation(class_number, shape, each) | {"object": number}


FORMAT = ObjectFormat(
    name="coco-objects",
    title="COCO JSON, measured objects",
    sentence="One annotation for each object, also where they touch: polygons, and RLE where an object has holes.",
    suffix="json",
    order=97,
    write=write,
)
