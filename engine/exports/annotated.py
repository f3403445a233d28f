"""What the annotation formats are made from: images by name and size, what their masks mean, and a way to read each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MaskedImage:
    """An image whose mask is there. `number` stays its own for as long as it is in its dataset, and counts from 1.

    `split` is "train", "validation", "dropped", or empty where nothing was learned from it.
    """

    number: int
    name: str
    width: int
    height: int
    split: str
    key: str


@dataclass(frozen=True)
class Annotated:
    """The images of an export, in order. `category` names what is foreground; `read(key)` returns a bool mask (H, W).

    `note` says in a sentence where the masks are from.
    """

    images: Sequence[MaskedImage]
    category: str
    read: Callable[[str], np.ndarray]
    note: str

    def masks(self) -> Iterator[tuple[MaskedImage, np.ndarray]]:
        """Yield (image, mask), one at a time."""
        for image in self.images:
            yield image, self.read(image.key)


Progress = Callable[[int], None]
"""Called with the number of images done; may raise to end the work."""


def foreground_category(classes: Iterable[dict[str, Any]]) -> str:
    """Return what a dataset calls its foreground: its one class beside background, or "foreground" for several or none.

    A network here tells foreground from background; which of several classes a pixel is, its mask does not say.
    """
    named = [str(entry["name"]) for entry in classes if entry["index"] != 0]
    return named[0] if len(named) == 1 and named[0].strip() else "foreground"
