"""Pascal VOC XML: boxes and class names of one image. Its masks are images beside it, and are paired like any other.

Some tools add a polygon to an object (`<polygon>` with `<x1>`, `<y1>`, … or with points); these are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from engine.datasets.annotations.base import Annotations, AnnotationSet
from engine.datasets.annotations.collection import UNMATCHED, Collection, Report
from engine.datasets.annotations.documents import AnnotationError, Document, xml_root
from engine.datasets.annotations.shapes import Shape, polygon

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Classes 1 to 20 of the masks of PASCAL VOC: alphabetical."""

_ROOT = re.compile(rb"<annotation[\s>]")


def recognises(name: str, head: bytes) -> bool:
    """Return whether a file looks like the XML of Pascal VOC."""
    return name.lower().endswith(".xml") and bool(_ROOT.search(head))


def read(documents: Sequence[Document], images: Sequence[str]) -> AnnotationSet:
    """Read VOC files; classes are sorted by name, and all 20 are listed for PASCAL VOC itself. See `Annotations`."""
    found = Collection(images)
    challenge = False
    for document in documents:
        with found.document(document) as report:
            root = xml_root(document)
            if root.tag != "annotation":
                raise AnnotationError("Its XML does not have the structure of Pascal VOC.")
            challenge |= (root.findtext("folder") or "").upper().startswith("VOC")
            _read(root, document, found, report)
    if challenge:
        for name in VOC_CLASSES:
            found.value(name)
    return found.annotations(single=True, by_name=True)


def _read(root: Element, document: Document, found: Collection, report: Report) -> None:
    name = root.findtext("filename")
    image = found.images.find(name, document.name) or found.images.of_stem(document.name)
    shapes = []
    for at, entry in enumerate(root.findall("object"), start=1):
        if entry.findtext("deleted") == "1":  # LabelMe keeps what was deleted
            continue
        value = found.class_of(report, entry.findtext("name"))
        outline = entry.find("polygon")
        if outline is None:
            report.boxes += 1
            continue
        try:
            shapes.append(Shape(value, (polygon(_points(outline)),)))
        except AnnotationError as error:
            report.problem(str(error), at)
    if image is None and shapes:
        report.problem(UNMATCHED, name)
    elif image is not None and shapes:
        found.image(report, image)
        for shape in shapes:
            found.add(report, image, shape)


def _points(outline: Element) -> list[str]:
    """Return x, y, x, y … of <x1>, <y1>, <x2> … or of <pt><x/><y/></pt>."""
    numbers = [each.text or "" for each in outline.iter() if re.fullmatch(r"[xy]\d*", each.tag)]
    try:
        return [str(float(number)) for number in numbers]
    except ValueError:
        raise AnnotationError("Polygons whose coordinates are no numbers were left out.") from None


ANNOTATIONS = Annotations("voc", "Pascal VOC XML", recognises, read)
