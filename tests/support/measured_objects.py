"""A measurement of drawn objects, for tests of the formats of objects."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from skimage import draw
from skimage.measure import points_in_poly

from engine.exports.measured import MeasuredObjects, ObjectImage
from engine.measuring.measurements import Scale, measure
from engine.measuring.objects import Objects

CLASSES = ("Ei", "=Pfanne")


def drawn() -> np.ndarray:
    """Return objects of every shape that breaks outlines, int32 (80, 100), numbered from 1."""
    labels = np.zeros((80, 100), np.int32)
    labels[draw.disk((18, 18), 10)] = 1
    labels[draw.disk((18, 50), 14)] = 2  # a ring with a hole
    labels[draw.disk((18, 50), 8)] = 0
    labels[draw.disk((18, 50), 3)] = 3  # an island in it
    labels[40:60, 10:20], labels[40:60, 20:30] = 4, 5  # touch along a side
    labels[40:50, 40:50], labels[55:60, 40:45] = 6, 6  # two pieces
    labels[70:80, 90:100] = 7  # at two borders
    labels[65, 5] = 8  # one pixel
    labels[62:65, 60:63], labels[65:68, 63:66] = 9, 9  # two squares that touch at a corner
    labels[40:45, 60:65] = 10
    labels[42, 62], labels[43, 63] = 0, 0  # holes that touch at a corner
    labels[50:53, 60:63] = 11
    labels[51, 61], labels[52, 62] = 0, 0  # a hole that is open at a corner
    labels[0:80, 99] = 12  # one column, the whole height, over the corner of another
    labels[70:80:2, 70:80:2], labels[71:80:2, 71:80:2] = 13, 13  # pixels that touch at corners only, with holes
    return labels


def disc(height: int = 30, width: int = 40) -> np.ndarray:
    labels = np.zeros((height, width), np.int32)
    labels[draw.disk((14, 15), 9)] = 1
    return labels


MAPS = {
    "Platte 1/Zelle ä.png": drawn(),
    "Platte 2/Zelle ä.tif": disc(),
    "leer.png": np.zeros((7, 9), np.int32),
    "=1+1 🥚.png": disc(25, 31),
}
EMPTY = {"a.png": np.zeros((7, 9), np.int32), "b/a.png": np.zeros((1, 1), np.int32)}
SCALES = {"Platte 1/Zelle ä.png": Scale(0.65, 0.8, "file"), "Platte 2/Zelle ä.tif": Scale(0.5, 0.5, "user")}


def measured_objects(
    folder: Path,
    maps: Mapping[str, np.ndarray] = MAPS,
    classes: tuple[str, ...] = CLASSES,
    scales: Mapping[str, Scale] = SCALES,
) -> MeasuredObjects:
    """Return a measurement of label maps by the names of their images; the classes of their objects take turns."""
    tables, counts, images = [], [], []
    for number, (name, labels) in enumerate(maps.items(), start=1):
        table = _table(labels, len(classes), scales.get(name))
        table.insert(0, "image", name)
        table.insert(1, "image_id", f"{number:032x}")
        table.insert(4, "class_name", [classes[index - 1] for index in table["class"]])
        tables.append(table)
        counts.append(
            {"image": name, "image_id": f"{number:032x}", "objects": len(table), "area_px": table.area_px.sum()}
        )
        images.append(ObjectImage(number, name, labels.shape[1], labels.shape[0], f"maps/{number}", scales.get(name)))
    objects, per_image = folder / "objects.parquet", folder / "images.parquet"
    filled = [table for table in tables if len(table)]
    pd.concat(filled or tables[:1], ignore_index=True).to_parquet(objects, index=False)
    pd.DataFrame(counts).to_parquet(per_image, index=False)
    by_key = dict(zip((image.key for image in images), maps.values(), strict=True))
    return MeasuredObjects(images, classes, objects, per_image, by_key.__getitem__, "Objects for a test.")


def class_of(number: int, classes: int = len(CLASSES)) -> int:
    return (number - 1) % classes + 1


def _table(labels: np.ndarray, classes: int, scale: Scale | None) -> pd.DataFrame:
    count = int(labels.max())
    border = np.isin(np.arange(1, count + 1), np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    found = Objects(
        labels,
        np.array([class_of(number, classes) for number in range(1, count + 1)], np.uint8),
        border,
        np.ones(count),
    )
    image = np.arange(labels.size * 3, dtype=np.uint8).reshape(*labels.shape, 3)
    return pd.DataFrame(measure(found, image, scale=scale))


def enclosed(rings: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return which pixel centres, bool (H, W), lie inside an odd number of rings, (N, 2) as (x, y) each."""
    rows, columns = np.indices(shape).reshape(2, -1)
    centres = np.column_stack([columns, rows]) + 0.5
    inside = [points_in_poly(centres, np.asarray(ring, float)).reshape(shape) for ring in rings]
    return np.logical_xor.reduce(inside)


def names_of(archive: zipfile.ZipFile) -> dict[str, tuple[str, int]]:
    """Return {image: (file, number of objects)} from the list in a zip."""
    rows = csv.DictReader(io.StringIO(archive.read("names.csv").decode("utf-8-sig")))
    return {row["image"].lstrip("'"): (row["file"].lstrip("'"), int(row["objects"])) for row in rows}
