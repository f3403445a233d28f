"""What the formats of objects are made from: the tables of a measurement, and the number map of each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.measuring.measurements import Scale


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
