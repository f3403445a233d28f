"""Class maps: what a truth mask says about each pixel, and the pixels that nobody has decided about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.imaging.codec import resize_mask

IGNORE = 255
"""The class of pixels that are excluded from loss and scores (Pascal VOC's borders, "void")."""

IGNORED_LEVEL = 127
"""The target of an ignored pixel in training: half-way, so that interpolation keeps it apart from both classes."""


def has_foreground(lookup: Sequence[int]) -> bool:
    """Return whether any of the 256 values belongs to a class other than background and `IGNORE`."""
    return any(index not in (0, IGNORE) for index in lookup)


@dataclass(frozen=True)
class Reference:
    """Foreground, bool (H, W), and the pixels to leave out of every comparison, bool (H, W) or None for none."""

    foreground: np.ndarray
    ignored: np.ndarray | None = None

    def resized(self, shape: tuple[int, int]) -> Reference:
        """Return the reference at (height, width)."""
        ignored = None if self.ignored is None else resize_mask(self.ignored, shape)
        return Reference(resize_mask(self.foreground, shape), ignored)

    def beside(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (`values`, foreground) at the pixels that count: as they are, or flat, (N,), if some are ignored.

        `values` is a mask or a probability, (H, W); a reference of another size is resized to it.
        """
        reference = self if values.shape == self.foreground.shape else self.resized(values.shape)
        if reference.ignored is None:
            return values, reference.foreground
        counted = ~reference.ignored
        return values[counted], reference.foreground[counted]


def reference(values: np.ndarray, lookup: Sequence[int] | np.ndarray) -> Reference:
    """Return truth as stored, uint8 (H, W), as a reference: `lookup` has the class index of each of 256 values.

    Every class except 0 (background) and `IGNORE` is foreground.
    """
    classes = np.asarray(lookup, np.uint8)[values]
    ignored = classes == IGNORE
    if not ignored.any():
        return Reference(classes > 0)
    return Reference((classes > 0) & ~ignored, ignored)
