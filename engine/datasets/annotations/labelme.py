"""labelme JSON: one file for each image, with polygons, rectangles, circles and masks.

Source: the format that labelme's `LabelFile` writes. The picture that a file may hold itself (`imageData`) is not read.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.datasets.annotations.base import Annotations, AnnotationSet
from engine.datasets.annotations.collection import UNMATCHED, Collection, Report
from engine.datasets.annotations.documents import AnnotationError, Document, dicts, json_object
from engine.datasets.annotations.shapes import MAX_PIXELS, Shape, declared_size, ellipse, mask_runs, polygon
from engine.imaging import codec
from engine.imaging.limits import UnreadableImage

_KEY = re.compile(rb'"(\w+)"\s*:')
_KEYS = frozenset({b"shapes", b"imagePath", b"imageData", b"imageHeight", b"lineColor"})
_WITHOUT_AREA = frozenset({"point", "points", "line", "lines", "linestrip"})
_OUTLINES = frozenset({"polygon", "oriented_rectangle", "rotation", "quadrilateral"})
_PNG = b"\x89PNG\r\n\x1a\n"
_BAD_MASK = "Masks that are no PNG image were left out."


def recognises(name: str, head: bytes) -> bool:
    """Return whether a file looks like labelme JSON."""
    starts = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return name.lower().endswith(".json") and starts and bool(set(_KEY.findall(head)) & _KEYS)


def read(documents: Sequence[Document], images: Sequence[str]) -> AnnotationSet:
    """Read labelme files; classes are sorted by name. See `Annotations`."""
    found = Collection(images)
    for document in documents:
        with found.document(document) as report:
            _read(document, found, report)
    return found.annotations(single=True, by_name=True)


def _read(document: Document, found: Collection, report: Report) -> None:
    parts = json_object(document)
    if not isinstance(parts.get("shapes"), list):
        raise AnnotationError("Its JSON has no list of shapes.")
    path = parts.get("imagePath")
    image = found.images.find(path, document.name) or found.images.of_stem(document.name)
    if image is None:
        report.problem(UNMATCHED, path)
        return
    found.image(report, image, declared_size(parts.get("imageHeight"), parts.get("imageWidth")))
    left = [MAX_PIXELS]
    for at, entry in enumerate(dicts(parts["shapes"]), start=1):
        kind = str(entry.get("shape_type") or "polygon")
        if kind in _WITHOUT_AREA:
            report.problem("Points and lines, which enclose no area, were left out")
            found.incomplete(image)
            continue
        try:
            shape = _shape(entry, kind, found.class_of(report, entry.get("label")), left)
        except AnnotationError as error:
            report.problem(str(error), at)
            found.incomplete(image)
        else:
            found.add(report, image, shape)


def _shape(entry: dict[str, Any], kind: str, value: int, left: list[int]) -> Shape:
    points = entry.get("points")
    if kind == "mask":
        return Shape(value, runs=mask_runs(*_mask(entry.get("mask"), points, left)))
    if kind == "rectangle" and isinstance(points, list) and len(points) == 2:
        (left_px, top), (right, bottom) = _two(points)
        return Shape(value, (polygon([left_px, top, right, top, right, bottom, left_px, bottom]),))
    if kind == "circle":
        (x, y), (edge_x, edge_y) = _two(points)
        radius = math.hypot(edge_x - x, edge_y - y)
        return Shape(value, (ellipse(x, y, radius, radius),))
    if kind == "rectangle" or kind in _OUTLINES:
        return Shape(value, (polygon(points),))
    raise AnnotationError("Shapes of an unknown type were left out.")


def _two(points: object) -> list[list[float]]:
    try:
        found = np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if found.shape != (2, 2) or not np.isfinite(found).all():
        raise AnnotationError("Rectangles, circles and masks without two points were left out.")
    return found.tolist()


def _mask(encoded: object, points: object, left: list[int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a mask, bool (H, W), and where its top left pixel lies. `left` is how many pixels may be decoded yet."""
    (x, y), _ = _two(points)
    if max(abs(x), abs(y)) > MAX_PIXELS:
        raise AnnotationError("Masks of a senseless size or place were left out.")
    try:
        data = base64.b64decode(encoded) if isinstance(encoded, str) else b""
    except ValueError:
        raise AnnotationError(_BAD_MASK) from None
    if not data.startswith(_PNG) or len(data) < 24:
        raise AnnotationError(_BAD_MASK)
    width, height = struct.unpack_from(">II", data, 16)
    left[0] -= width * height
    if left[0] < 0:
        raise AnnotationError(f"Masks beyond {MAX_PIXELS / 1e6:g} megapixels in one file were left out.")
    try:
        pixels = codec.decode_png(data)
    except UnreadableImage:
        raise AnnotationError(_BAD_MASK) from None
    if pixels.shape[:2] != (height, width):
        raise AnnotationError(_BAD_MASK)
    return np.asarray((pixels > 0).reshape(height, width, -1).any(2)), (int(x), int(y))


ANNOTATIONS = Annotations("labelme", "labelme JSON", recognises, read)
