"""COCO JSON for detection and segmentation: polygons and run lengths.

Source: "Data format", cocodataset.org, sections 0 and 1. A region with `iscrowd` 1 covers several objects that nobody
separated, often roughly, so it is ignored. Some tools, and our export of whole images, mark every mask like that: where
most annotations of a file are crowds, or an image has nothing else, they are read as objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.datasets.annotations.base import Annotations, AnnotationSet
from engine.datasets.annotations.collection import UNMATCHED, Collection, Report
from engine.datasets.annotations.documents import AnnotationError, Document, dicts, json_object
from engine.datasets.annotations.shapes import IGNORE, Runs, Shape, declared_size, polygon, runs

_KEY = re.compile(rb'"(\w+)"\s*:')
_KEYS = frozenset({b"images", b"annotations", b"categories", b"licenses", b"segmentation", b"image_id"})
_OTHERS = frozenset({b"shapes", b"imagePath", b"imageData", b"imageHeight", b"lineColor"})

_Id = int | str | None


def recognises(name: str, head: bytes) -> bool:
    """Return whether a file looks like COCO JSON: an object with some of its keys, and none of labelme's."""
    if not name.lower().endswith(".json") or not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    keys = set(_KEY.findall(head))
    return bool(keys & _KEYS) and not keys & _OTHERS


def read(documents: Sequence[Document], images: Sequence[str]) -> AnnotationSet:
    """Read COCO files; classes have the order of the categories. See `Annotations`."""
    found = Collection(images)
    for document in documents:
        with found.document(document) as report:
            _read(document, found, report)
    return found.annotations(by_area=True)


def _read(document: Document, found: Collection, report: Report) -> None:
    parts = json_object(document)
    names = _categories(parts.get("categories"), found, report)
    images = _images(parts.get("images"), document.name, found, report)
    seen: set[_Id] = set()
    annotations = dicts(parts.pop("annotations", None))
    crowds = [annotation for annotation in annotations if _is_crowd(annotation)]
    beside = {_id(annotation.get("image_id")) for annotation in annotations if not _is_crowd(annotation)}
    if 2 * len(crowds) > len(annotations):
        beside = set()
    for annotation in annotations:
        number = _id(annotation.get("id"))
        if number is not None and number in seen:
            report.problem("Annotations with the id of another one were drawn too", number)
        seen.add(number)
        if _id(annotation.get("image_id")) not in images:
            report.problem("Annotations of an image that the file does not list were left out", number)
        elif image := images[_id(annotation.get("image_id"))]:
            ignored = _is_crowd(annotation) and _id(annotation["image_id"]) in beside
            _add(annotation, image, ignored, names, found, report)


def _categories(categories: Any, found: Collection, report: Report) -> dict[_Id, int]:
    """Return {id: value to draw}."""
    names: dict[_Id, int] = {}
    for category in dicts(categories):
        number, name = _id(category.get("id")), category.get("name")
        if number is None:
            report.problem("Categories without an id were left out", name)
        elif number in names:
            report.problem("Categories with the id of another one were left out", number)
        else:
            if not isinstance(name, str) or not name.strip():
                report.problem("Categories without a name were named by their id", number)
            names[number] = found.value(name, f"class {number}")
    return names


def _images(images: Any, document: str, found: Collection, report: Report) -> dict[_Id, str | None]:
    """Return {id: the image's name, or None if it is not among those imported}."""
    by_id: dict[_Id, str | None] = {}
    for image in dicts(images):
        number, name = _id(image.get("id")), image.get("file_name")
        if number is None:
            report.problem("Images without an id were left out", name)
        elif number in by_id:
            report.problem("Images with the id of another one were left out", name)
        else:
            by_id[number] = known = found.images.find(name, document)
            if known is None:
                report.problem(UNMATCHED, name)
            else:
                found.image(report, known, declared_size(image.get("height"), image.get("width")))
    return by_id


def _is_crowd(annotation: dict[str, Any]) -> bool:
    return annotation.get("iscrowd") in (1, True)


def _add(
    annotation: dict[str, Any], image: str, ignored: bool, names: dict[_Id, int], found: Collection, report: Report
) -> None:
    number = _id(annotation.get("id"))
    rings, mask = _geometry(annotation.get("segmentation"), number, report)
    if not rings and mask is None:
        found.incomplete(image)
        if annotation.get("bbox"):
            report.boxes += 1
        else:
            report.problem("Annotations without an outline or mask were left out", number)
        return
    value = IGNORE
    if ignored:
        report.problem("Crowds, regions of several objects, count neither as object nor as background")
    else:
        if _is_crowd(annotation):
            report.problem("Crowds without single objects beside them were read as objects")
        category = _id(annotation.get("category_id"))
        if category not in names:
            report.problem("Categories that the file does not list became classes of their own", category)
            names[category] = found.value(None, "object" if category is None else f"class {category}")
        value = names[category]
    found.add(report, image, Shape(value, rings, mask))


def _geometry(segmentation: Any, number: _Id, report: Report) -> tuple[tuple[np.ndarray, ...], Runs | None]:
    """Return the polygons and the run lengths of an annotation: one of the two, or none."""
    rings = []
    try:
        if isinstance(segmentation, dict):
            return (), runs(segmentation.get("counts"), segmentation.get("size"))
    except AnnotationError as error:
        report.problem(str(error), number)
    if isinstance(segmentation, list) and segmentation:
        flat = not isinstance(segmentation[0], (list, dict))
        pairs = all(isinstance(part, list) and len(part) == 2 for part in segmentation)
        for part in [segmentation] if flat or pairs else segmentation:
            try:
                rings.append(polygon(part))
            except AnnotationError as error:
                report.problem(str(error), number)
    return tuple(rings), None


def _id(value: Any) -> _Id:
    """Return an id; 7 and "7" are one, since tools mix them."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (int, str)) else None


ANNOTATIONS = Annotations("coco", "COCO JSON", recognises, read)
