"""YOLO text: for each image a file with lines "class x1 y1 x2 y2 …", and data.yaml or classes.txt with class names.

Coordinates are fractions of the image's width and height. A line of four numbers is a box; a number after the points
is the confidence of a prediction. An empty file belongs to an image without objects.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import yaml

from engine.datasets.annotations.base import Annotations, AnnotationSet
from engine.datasets.annotations.collection import Collection, Report
from engine.datasets.annotations.documents import AnnotationError, Document, content, text
from engine.datasets.annotations.shapes import Shape, polygon
from engine.datasets.source import IMAGE_SUFFIXES

LARGEST_YAML_BYTES = 128 << 10
"""The reader of YAML takes ten seconds for a megabyte; a thousand class names have 20 kB."""

LARGEST_FRACTION = 1.5
"""Coordinates beyond an edge are clipped; beyond this they are pixels, or no coordinates."""

LARGEST_CLASS = 1_000_000
_NUMBER = re.compile(rb"[0-9.eE+-]{1,40}")
_CLASS_LISTS = frozenset({"classes.txt", "_classes.txt"})
_NAMES_KEY = re.compile(rb"^(names|nc)\s*:", re.MULTILINE)
_TABLE_HEAD = b"image,file"

Names = dict[int, str]
Row = tuple[int, np.ndarray]


def recognises(name: str, head: bytes) -> bool:
    """Return whether a file looks like a label file, a list of classes or of images, or our table of image names."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    path = PurePosixPath(name.lower())
    if path.suffix in (".yaml", ".yml"):
        return bool(_NAMES_KEY.search(head))
    if path.suffix == ".csv":
        return path.name == "names.csv" and head.startswith(_TABLE_HEAD)
    if path.suffix == ".names" or path.name in _CLASS_LISTS:
        return True
    return path.suffix == ".txt" and (not head.strip() or _is_label(head) or _lists_images(head))


def read(documents: Sequence[Document], images: Sequence[str]) -> AnnotationSet:
    """Read YOLO text; classes have the order of their numbers. See `Annotations`."""
    found = Collection(images)
    lists: list[tuple[str, Names]] = []
    files: dict[str, str] = {}
    labels = []
    for document in documents:
        path = PurePosixPath(document.name.lower())
        if path.suffix == ".txt" and path.name not in _CLASS_LISTS:
            labels.append(document)
            continue
        with found.document(document) as report:
            report.supplies_classes = True
            if path.suffix == ".csv":
                files |= _table(document)
            else:
                lists.append((document.folder, _class_names(document)))
    _read_labels(labels, lists, files, found)
    return found.annotations(single=True)


def _read_labels(
    labels: Sequence[Document], lists: Sequence[tuple[str, Names]], files: dict[str, str], found: Collection
) -> None:
    """Read label files, given the lists of class names with their folders, and the images by stem of our own export."""
    described: list[tuple[Report, str, list[Row]]] = []
    in_use = bool(lists)
    for document in labels:
        with found.document(document) as report:
            data = content(document)
            if _lists_images(data):
                report.supplies_classes = True  # the list of a split, which imports do not need
                continue
            image = found.images.of_stem(document.name) or found.images.find(_listed(files, document), "")
            if image is None:
                raise AnnotationError("There is no image of the same name, or more than one.")
            rows = _rows(data.decode("utf-8", "replace"), report)
            in_use |= bool(rows or report.boxes)
            if rows or not (report.boxes or report.problems):
                described.append((report, image, rows))
    if in_use:
        _add(described, lists, found)
    else:
        for report, _, _ in described:
            report.refusal = "It is empty."


def _add(
    described: Sequence[tuple[Report, str, list[Row]]], lists: Sequence[tuple[str, Names]], found: Collection
) -> None:
    values = [
        {number: found.value(name, f"class {number}") for number, name in sorted(names.items())} for _, names in lists
    ]
    nearest = [_nearest(report.name, lists) for report, _, _ in described]
    unnamed = {
        number
        for at, (_, _, rows) in zip(nearest, described, strict=True)
        for number, _ in rows
        if at is None or number not in values[at]
    }
    without = {number: found.value(None, f"class {number}") for number in sorted(unnamed)}
    for at, (report, image, rows) in zip(nearest, described, strict=True):
        found.image(report, image)
        known = values[at] if at is not None else {}
        for number, ring in rows:
            if at is not None and number not in known:
                report.problem("Classes without a name were named by their number", number)
            found.add(report, image, Shape(known.get(number, without.get(number, 0)), (ring,), fractions=True))


def _rows(lines: str, report: Report) -> list[Row]:
    """Return the class and the ring of each line that has an outline."""
    rows: list[Row] = []
    for at, line in enumerate(lines.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            number, *coordinates = (float(word) for word in line.split())
        except ValueError:
            report.problem("Lines that are not numbers were left out, by their line number", at)
            continue
        if not (0 <= number <= LARGEST_CLASS and number.is_integer()):
            report.problem("Lines without a class number were left out, by their line number", at)
        elif len(coordinates) in (4, 5):
            report.boxes += 1
        elif not all(abs(value) <= LARGEST_FRACTION for value in coordinates):
            report.problem("Lines with coordinates that are not fractions were left out, by their line number", at)
        else:
            try:
                rows.append((int(number), polygon(coordinates[: len(coordinates) // 2 * 2])))
            except AnnotationError as error:
                report.problem(str(error), at)
    return rows


def _class_names(document: Document) -> Names:
    source = text(document)
    if PurePosixPath(document.name.lower()).suffix not in (".yaml", ".yml"):
        return dict(enumerate(line.strip() for line in source.splitlines() if line.strip()))
    if len(source) > LARGEST_YAML_BYTES:
        raise AnnotationError(f"It has more than {LARGEST_YAML_BYTES >> 10} kB, which is the limit for class names.")
    try:
        # Without types, so that a class called "no" or "1e3" keeps its name; nothing but text, lists and mappings
        found = yaml.load(source, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise AnnotationError("It is damaged and not valid YAML.") from None
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        raise AnnotationError("It has no class names.")
    return {int(number): name for number, name in names.items() if _is_class(number) and isinstance(name, str)}


def _is_class(number: object) -> bool:
    if isinstance(number, str):
        return number.isascii() and number.isdigit() and len(number) < 7
    return isinstance(number, int)


def _nearest(name: str, lists: Sequence[tuple[str, Names]]) -> int | None:
    """Return which list of classes lies in the innermost folder around a file; the first if none is around it."""
    around = [at for at, (folder, _) in enumerate(lists) if not folder or name.startswith(f"{folder}/")]
    return max(around, key=lambda at: len(lists[at][0]), default=0 if lists else None)


def _table(document: Document) -> dict[str, str]:
    """Return {stem: the image's name when it was exported} of the names.csv of our own export."""
    try:
        rows = list(csv.reader(io.StringIO(text(document))))
    except csv.Error:
        raise AnnotationError("It is damaged and not valid CSV.") from None
    return {PurePosixPath(row[0]).stem: row[1].removeprefix("'") for row in rows[1:] if len(row) == 2}


def _listed(files: dict[str, str], document: Document) -> str | None:
    return files.get(PurePosixPath(document.name).stem)


def _is_label(head: bytes) -> bool:
    """Return whether the first line is a class number and four numbers or more."""
    words = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0].split()[:5]
    return len(words) == 5 and words[0][:1].isdigit() and all(_NUMBER.fullmatch(word) for word in words)


def _lists_images(head: bytes) -> bool:
    """Return whether lines are names of images; the last may be cut short."""
    lines = [line.strip() for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    complete = lines[:-1] or lines
    return bool(complete) and all(PurePosixPath(line).suffix.lower() in IMAGE_SUFFIXES for line in complete)


ANNOTATIONS = Annotations("yolo", "YOLO text", recognises, read)
