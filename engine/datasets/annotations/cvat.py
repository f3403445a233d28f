"""CVAT for images 1.1: one XML file with polygons, ellipses and masks of all images.

Source: "CVAT for images" in CVAT's documentation of formats. A mask is its run lengths row by row in its box, pixels
outside first. Shapes with a higher `z_order` lie above.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from engine.datasets.annotations.base import Annotations, AnnotationSet
from engine.datasets.annotations.collection import UNMATCHED, Collection, Report
from engine.datasets.annotations.documents import AnnotationError, Document, xml_root
from engine.datasets.annotations.shapes import Shape, declared_size, ellipse, polygon, runs

_ROOT = re.compile(rb"<annotations[\s>]")
_WITHOUT_AREA = frozenset({"points", "polyline", "skeleton", "cuboid"})


def recognises(name: str, head: bytes) -> bool:
    """Return whether a file looks like the XML of CVAT."""
    return name.lower().endswith(".xml") and bool(_ROOT.search(head))


def read(documents: Sequence[Document], images: Sequence[str]) -> AnnotationSet:
    """Read CVAT files; classes have the order of the labels of the task. See `Annotations`."""
    found = Collection(images)
    for document in documents:
        with found.document(document) as report:
            root = xml_root(document)
            if root.find("track") is not None:
                raise AnnotationError("It is in the format “CVAT for video”; export it as “CVAT for images”.")
            for label in root.iterfind("meta//labels/label/name"):
                found.value(label.text)
            for image in root.iterfind("image"):
                _read(image, document, found, report)
    return found.annotations()


def _read(image: Element, document: Document, found: Collection, report: Report) -> None:
    name = image.get("name")
    known = found.images.find(name, document.name)
    if known is None:
        report.problem(UNMATCHED, name)
        return
    found.image(report, known, declared_size(_whole(image, "height"), _whole(image, "width")))
    for entry in sorted(image, key=lambda entry: _whole(entry, "z_order")):
        if entry.tag == "box":
            report.boxes += 1
            found.incomplete(known)
        elif entry.tag in _WITHOUT_AREA:
            report.problem("Points and lines, which enclose no area, were left out")
            found.incomplete(known)
        elif entry.tag in ("polygon", "ellipse", "mask"):
            try:
                shape = _shape(entry, found.class_of(report, entry.get("label")))
            except AnnotationError as error:
                report.problem(str(error), name)
                found.incomplete(known)
            else:
                found.add(report, known, shape)


def _shape(entry: Element, value: int) -> Shape:
    if entry.tag == "polygon":
        return Shape(value, (polygon(_numbers(entry.get("points", "").replace(";", ","))),))
    if entry.tag == "ellipse":
        x, y, radius_x, radius_y = (_number(entry, name) for name in ("cx", "cy", "rx", "ry"))
        turn = math.radians(_number(entry, "rotation") if entry.get("rotation") else 0)
        turned = [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
        ring = ellipse(0, 0, radius_x, radius_y).astype(np.float64) @ turned
        return Shape(value, (polygon(ring + np.array([x, y])),))
    size, corner = (_whole(entry, "height"), _whole(entry, "width")), (_whole(entry, "left"), _whole(entry, "top"))
    counts = np.array(_numbers(entry.get("rle", "")))
    if not (np.abs(counts) < 1e9).all():
        raise AnnotationError("Masks with invalid run lengths were left out.")
    return Shape(value, runs=runs(counts.astype(np.int64), size, corner, by_rows=True))


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",") if number.strip()]
    except ValueError:
        raise AnnotationError("Shapes whose coordinates are no numbers were left out.") from None


def _number(entry: Element, name: str) -> float:
    found = _numbers(entry.get(name, ""))
    if len(found) != 1 or not math.isfinite(found[0]):
        raise AnnotationError("Shapes whose coordinates are no numbers were left out.")
    return found[0]


def _whole(entry: Element, name: str) -> int:
    """Return an attribute as an integer, 0 if it is none."""
    value = entry.get(name, "")
    return int(value) if re.fullmatch(r"-?[0-9]{1,9}", value) else 0


ANNOTATIONS = Annotations("cvat", "CVAT for images XML", recognises, read)
