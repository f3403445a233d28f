"""Masks as a COCO file for object detection and segmentation.

Source: "Data format", cocodataset.org, sections 0 and 1. `bbox` is [left, top, width, height] in pixels and `area` the
number of pixels of the mask, whatever holds its shape. `iscrowd` is 0 for one object and 1 where one annotation covers
several, which the format's own evaluation then takes as a region and not as an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from engine.exports import rle
from engine.exports.annotated import Annotated, Progress
from engine.exports.base import MaskFormat
from engine.exports.outlines import MaskObject, objects

CATEGORY_ID = 1  # as in our class maps, where 0 is background
Shapes = Literal["polygons", "rle", "image"]


def write(source: Annotated, target: Path, progress: Progress, shapes: Shapes = "polygons") -> int:
    """Write a COCO file; return how many annotations it has. Masks are read, and annotations written, one by one.

    Args:
        shapes: "polygons" makes one annotation of each object, as polygons, or as RLE where it has holes; "rle" the
            same, all as RLE; "image" one annotation of each image that has any foreground, as RLE.
    """
    count = 0
    with target.open("w", encoding="utf-8") as file:
        _write_head(source, file)
        for done, (image, mask) in enumerate(source.masks(), start=1):
            for annotation in _whole(mask) if shapes == "image" else _by_object(mask, shapes):
                row = {"id": count + 1, "image_id": image.number, "category_id": CATEGORY_ID} | annotation
                file.write((",\n" if count else "\n") + json.dumps(row, separators=(",", ":")))
                count += 1
            progress(done)
        file.write("\n]}\n")
    return count


def _write_head(source: Annotated, file: TextIO) -> None:
    images = [
        {"id": image.number, "file_name": image.name, "width": image.width, "height": image.height}
        for image in source.images
    ]
    categories = [{"id": CATEGORY_ID, "name": source.category, "supercategory": ""}]
    parts = {"info": {"description": source.note}, "licenses": [], "categories": categories, "images": images}
    file.write("{" + ",\n".join(f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in parts.items()))
    file.write(',\n"annotations": [')


def _by_object(mask: np.ndarray, shapes: Shapes) -> Iterator[dict[str, Any]]:
    for found in objects(mask):
        outer = found.outer() if shapes == "polygons" else None
        shape = _runs(found, mask.shape) if outer is None else [_flat(outer)]
        yield {"segmentation": shape, "area": found.area, "bbox": list(found.box), "iscrowd": 0}


def _whole(mask: np.ndarray) -> Iterator[dict[str, Any]]:
    if not mask.any():
        return
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    several = sum(1 for _ in objects(mask)) > 1
    area = int(np.count_nonzero(mask))
    yield {"segmentation": rle.encode(mask), "area": area, "bbox": box, "iscrowd": int(several)}


def _runs(found: MaskObject, shape: tuple[int, ...]) -> dict[str, object]:
    return rle.from_runs(found.starts, found.lengths, shape)


def _flat(ring: np.ndarray) -> list[float]:
    return np.round(ring.astype(np.float64), 2).ravel().tolist()


FORMAT = MaskFormat(
    name="coco",
    title="COCO JSON, objects",
    sentence="One annotation for each object: polygons, and RLE where an object has holes.",
    suffix="json",
    order=10,
    write=write,
)
