"""What the annotation formats are made from: images by name and size, what their masks mean, and a way to read each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.exports.outlines import TOLERANCE_PX


@dataclass(frozen=True)
class MaskedImage:
    """An image whose mask is there. `number` stays its own for as long as it is in its dataset, and counts from 1.

    `split` is "train", "validation", "dropped", "audit", or empty where nothing was learned from it.
    """

    number: int
    name: str
    width: int
    height: int
    split: str
    key: str


@dataclass(frozen=True)
class Annotated:
    """The images of an export, in order. `classes` names class 1, 2, …; `read(key)` returns a class map, uint8 (H, W).

    Foreground alone is one class. `note` says in a sentence where the masks are from.
    """

    images: Sequence[MaskedImage]
    classes: Sequence[str]
    read: Callable[[str], np.ndarray]
    note: str

    @property
    def tolerance_px(self) -> float:
        """How far outlines may stray. Of several classes, which may touch, that would make gaps and overlaps."""
        return TOLERANCE_PX if len(self.classes) == 1 else 0.0

    def masks(self) -> Iterator[tuple[MaskedImage, np.ndarray]]:
        """Yield (image, class map), one at a time."""
        for image in self.images:
            yield image, self.read(image.key)


Progress = Callable[[int], None]
"""Called with the number of images done; may raise to end the work."""


def foreground_category(classes: Iterable[dict[str, Any]]) -> str:
    """Return what a dataset calls its foreground: its one class beside background, or "foreground" for several or none.

    Where masks tell foreground from background only, they do not say which of several classes a pixel is.
    """
    named = [str(entry["name"]) for entry in classes if entry["index"] != 0]
    return named[0] if len(named) == 1 and named[0].strip() else "foreground"
