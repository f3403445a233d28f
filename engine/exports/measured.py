"""What the formats of objects are made from: the tables of a measurement, and the number map of each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.imaging import codec
from engine.measuring.measurements import Scale
from engine.store import keys as stored
from engine.store.base import Store

if TYPE_CHECKING:
    from db.models import Measurement


@dataclass(frozen=True)
class ObjectImage:
    """An image of a measurement, with the size of its pixels where that is known. Images are numbered from 1."""

    number: int
    name: str
    width: int
    height: int
    key: str
    scale: Scale | None = None


@dataclass(frozen=True)
class MeasuredObjects:
    """The objects of a measurement.

    `classes` names class 1, 2, …; `objects` and `per_image` are Parquet files with one row an object and one an image
    (columns in docs/how-to/measure-objects.md); `read(key)` returns the number of the object of each pixel, int32
    (H, W), 0 for none, as in the column `object` of that image. `note` says in a sentence where the masks are from.
    """

    images: Sequence[ObjectImage]
    classes: Sequence[str]
    objects: Path
    per_image: Path
    read: Callable[[str], np.ndarray]
    note: str

    def maps(self) -> Iterator[tuple[ObjectImage, np.ndarray]]:
        """Yield (image, number of the object of each pixel), one image at a time."""
        for image in self.images:
            yield image, self.read(image.key)


def measured_objects(
    files: Store, measurement: Measurement, name: str, objects: Path, per_image: Path
) -> MeasuredObjects:
    """Return what the job of a measurement has stored, its tables at `objects` and `per_image`; `name` says of what."""
    import pandas as pd

    table = pd.read_parquet(per_image)
    images = [
        ObjectImage(
            number,
            row["image"],
            int(row["width_px"]),
            int(row["height_px"]),
            stored.number_map_key(measurement.id, row["image_id"]),
            _scale(row),
        )
        for number, row in enumerate(table.to_dict("records"), start=1)
    ]

    def read(key: str) -> np.ndarray:
        return codec.decode_png(files.read(key)).astype(np.int32)

    note = f"{name}, measured with Maskloom."
    return MeasuredObjects(images, [str(entry) for entry in measurement.classes], objects, per_image, read, note)


def _scale(row: dict[str, Any]) -> Scale | None:
    width, height = row.get("pixel_width_um"), row.get("pixel_height_um")
    if width is None or height is None or not (width > 0 and height > 0):  # not a number where others have one
        return None
    return Scale(float(width), float(height), str(row["pixel_size_source"]))
