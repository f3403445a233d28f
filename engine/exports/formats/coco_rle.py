"""COCO JSON with one annotation for each object, all as RLE."""

from __future__ import annotations

from functools import partial

from engine.exports.base import MaskFormat
from engine.exports.formats import coco

FORMAT = MaskFormat(
    name="coco-rle",
    title="COCO JSON, objects to the pixel",
    sentence="One annotation for each object, all as RLE: exactly the pixels of the mask.",
    suffix="json",
    order=20,
    write=partial(coco.write, shapes="rle"),
)
