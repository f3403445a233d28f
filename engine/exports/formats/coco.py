"""Masks as a COCO file for object detection and segmentation.

Source: "Data format", cocodataset.org, sections 0 and 1. `bbox` is [left, top, width, height] in pixels and `area` the
number of pixels of the mask, whatever holds its shape. `iscrowd` is 0 for one object and 1 where one annotation covers
several, which the format's own evaluation then takes as a region and not as an object. The id of a category is the
value of its class in our class maps, where 0 is background.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from engine.exports import rle
from engine.exports.annotated import Annotated, Progress
from engine.exports.base import MaskFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.outlines import MaskObject, class_masks, objects

Shapes = Literal["polygons", "rle", "image"]


def write(source: Annotated, target: Path, progress: Progress, shapes: Shapes = "polygons") -> int:
    """Write a COCO file; return how many annotations it has. Masks are read, and annotations written, one by one.

    Args:
        shapes: "polygons" makes one annotation of each object, as polygons, or as RLE where it has holes; "rle" the
            same, all as RLE; "image" one annotation of each class that an image has, as RLE.
    """
    annotations = (
        _whole(class_map) if shapes == "image" else _by_object(source, class_map, shapes)
        for _, class_map in source.masks()
    )
    return write_file(source, annotations, target, progress)


def write_file(
    source: Annotated | MeasuredObjects,
    annotations: Iterable[Iterable[dict[str, Any]]],
    target: Path,
    progress: Progress,
) -> int:
    """Write the annotations of each image, numbered from 1, below a head that names images and classes.

    Return how many there are.
    """
    count, numbers = 0, [image.number for image in source.images]
    with target.open("w", encoding="utf-8") as file:
        _write_head(source, file)
        for done, (image_id, found) in enumerate(zip(numbers, annotations, strict=True), start=1):
            for each in found:
                row = {"id": count + 1, "image_id": image_id} | each
                file.write((",\n" if count else "\n") + json.dumps(row, separators=(",", ":")))
                count += 1
            progress(done)
        file.write("\n]}\n")
    return count


def _write_head(source: Annotated | MeasuredObjects, file: TextIO) -> None:
    images = [
        {"id": image.number, "file_name": image.name, "width": image.width, "height": image.height}
        for image in source.images
    ]
    categories = [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(source.classes, start=1)
    ]
    parts = {"info": {"description": source.note}, "licenses": [], "categories": categories, "images": images}
    file.write("{" + ",\n".join(f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in parts.items()))
    file.write(',\n"annotations": [')


def _by_object(source: Annotated, class_map: np.ndarray, shapes: Shapes) -> Iterator[dict[str, Any]]:
    for number, mask in class_masks(class_map):
        for found in objects(mask):
            outer = found.outer(source.tolerance_px) if shapes == "polygons" else None
            shape = runs(found, mask.shape) if outer is None else [flat(outer)]
            yield annotation(number, shape, found)


def _whole(class_map: np.ndarray) -> Iterator[dict[str, Any]]:
    present = list(class_masks(class_map))
    # All of an image or none: readers leave out a crowd that has single objects beside it
    crowd = int(any(sum(1 for _ in objects(mask)) > 1 for _, mask in present))
    for number, mask in present:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, left = int(rows[0]), int(columns[0])
        box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
        row = {"category_id": number, "segmentation": rle.encode(mask), "area": int(np.count_nonzero(mask))}
        yield row | {"bbox": box, "iscrowd": crowd}


def annotation(category: int, shape: Any, found: MaskObject) -> dict[str, Any]:
    """Return the annotation of one object: polygons or RLE, its area and its box."""
    row = {"category_id": category, "segmentation": shape, "area": found.area, "bbox": list(found.box)}
    return row | {"iscrowd": 0}


def runs(found: MaskObject, shape: tuple[int, ...]) -> dict[str, object]:
    """Return an object of a mask of `shape` as RLE."""
    return rle.from_runs(found.starts, found.lengths, shape)


def flat(ring: np.ndarray) -> list[float]:
    """Return a polygon (N, 2) as x, y, x, y, …"""
    return np.round(ring.astype(np.float64), 2).ravel().tolist()


FORMAT = MaskFormat(
    name="coco",
    title="COCO JSON, objects",
    sentence="One annotation for each object: polygons, and RLE where an object has holes.",
    suffix="json",
    order=10,
    write=write,
)
