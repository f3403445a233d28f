"""Class maps: what a truth mask says about each pixel, and the pixels that nobody has decided about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.core.network_parameters import MOST_CLASSES
from engine.imaging import metrics
from engine.imaging.codec import resize_image, resize_mask, resize_probability

IGNORE = 255
"""The class of pixels that are excluded from loss and scores (Pascal VOC's borders, "void")."""

IGNORED_LEVEL = 127
"""The target of an ignored pixel in training: half-way, so that interpolation keeps it apart from both classes."""


def check_count(classes: int) -> None:
    """Refuse more classes beside background than a class map has room for.

    Raises:
        ValueError: the sentence has the limit and the number.
    """
    if classes > MOST_CLASSES:
        raise ValueError(
            f"Truth can have at most {MOST_CLASSES} classes beside background: in class maps 0 is background, and "
            f"{IGNORE} is ignored. Got {classes}. Give some values the same name."
        )


def class_count(lookup: Sequence[int] | np.ndarray) -> int:
    """Return the number of classes beside background: the greatest class index of the 256 values."""
    return max((int(index) for index in lookup if index != IGNORE), default=0)


def to_classes(levels: np.ndarray, likely: np.ndarray | None, threshold: float) -> np.ndarray:
    """Return the class map, uint8 (H, W), of a soft mask at `threshold` in [0, 1].

    A pixel whose foreground probability `levels`, uint8 (H, W), is below the threshold is background; any other has its
    most likely class, uint8 (H, W), or 1 where there is one class only (None).
    """
    mask = metrics.to_mask(levels, threshold)
    return mask.astype(np.uint8) if likely is None else np.where(mask, likely, 0).astype(np.uint8)


def most_likely(probabilities: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the class 1 to K of greatest probability, uint8 (H, W), at (height, width).

    `probabilities`, float32 (H, W, K), are those of the classes beside background.
    """
    best, most = np.ones(shape, np.uint8), resize_probability(probabilities[..., 0], shape)
    for index in range(2, probabilities.shape[-1] + 1):  # one at a time, as `shape` may be many times larger
        probability = resize_probability(probabilities[..., index - 1], shape)
        more = probability > most
        best[more], most[more] = index, probability[more]
    return best


def has_foreground(lookup: Sequence[int]) -> bool:
    """Return whether any of the 256 values belongs to a class other than background and `IGNORE`."""
    return any(index not in (0, IGNORE) for index in lookup)


@dataclass(frozen=True)
class Reference:
    """Foreground, bool (H, W), and the pixels to leave out of every comparison, bool (H, W) or None for none.

    `classes`, uint8 (H, W), is the class index of each pixel, or None if there is one class only.
    """

    foreground: np.ndarray
    ignored: np.ndarray | None = None
    classes: np.ndarray | None = None

    @property
    def class_map(self) -> np.ndarray:
        """Return the class index of each pixel, uint8 (H, W); ignored ones are background."""
        foreground = self.foreground.astype(np.uint8)
        return foreground if self.classes is None else foreground * self.classes

    def resized(self, shape: tuple[int, int]) -> Reference:
        """Return the reference at (height, width)."""
        ignored = None if self.ignored is None else resize_mask(self.ignored, shape)
        classes = None if self.classes is None else resize_classes(self.classes, shape)
        return Reference(resize_mask(self.foreground, shape), ignored, classes)

    def confusion(self, predicted: np.ndarray) -> list[list[int]]:
        """Return `metrics.confusion` of a predicted class map, uint8 (H, W), at the pixels that count."""
        reference = self if predicted.shape == self.foreground.shape else self.resized(predicted.shape)
        if reference.ignored is None:
            return metrics.confusion(predicted, reference.class_map)
        counted = ~reference.ignored
        return metrics.confusion(predicted[counted], reference.class_map[counted])

    def beside(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (`values`, foreground) at the pixels that count: as they are, or flat, (N,), if some are ignored.

        `values` is a mask or a probability, (H, W); a reference of another size is resized to it.
        """
        reference = replace(self, classes=None)
        if values.shape != self.foreground.shape:
            reference = reference.resized(values.shape)
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
    several = np.where(ignored, 0, classes).astype(np.uint8) if class_count(lookup) > 1 else None
    if not ignored.any():
        return Reference(classes > 0, None, several)
    return Reference((classes > 0) & ~ignored, ignored, several)


def resize_classes(classes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a class map, uint8 (H, W), at (height, width): the class that has most of each pixel beside background.

    It is 0 only where no class has any share, so that a foreground mask of its own tells where the objects end.
    """
    if classes.shape == tuple(shape):
        return classes
    best, most = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for index in np.unique(classes):
        if index:
            share = resize_image((classes == index).astype(np.uint8) * 255, shape)
            more = share > most
            best[more], most[more] = index, share[more]
    return best
