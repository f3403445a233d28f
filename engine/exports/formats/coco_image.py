"""COCO JSON with one annotation for each class of each image."""

from __future__ import annotations

from functools import partial

from engine.exports.base import MaskFormat
from engine.exports.formats import coco

FORMAT = MaskFormat(
    name="coco-image",
    title="COCO JSON, whole images",
    sentence="One annotation for each image and class: the whole mask as RLE, crowds where it is several objects.",
    suffix="json",
    order=30,
    write=partial(coco.write, shapes="image"),
)
