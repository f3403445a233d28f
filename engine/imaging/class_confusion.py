"""Which class masks give where truth has which, in pixels summed over images, and what follows for each class."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.imaging import metrics

LEAST_SHARE, MOST_PAIRS = 0.01, 3
"""Confusions from this share of the class in truth on are worth naming, and at most so many."""

Rows = Sequence[Sequence[int]]
"""[class in truth, predicted class, pixels] of one image (`engine.imaging.metrics.confusion`)."""


@dataclass(frozen=True)
class ClassResult:
    """One class against truth. Dice and IoU are of pixels summed over all images, None if it occurs on neither side.

    Truth has it in `images` of them.
    """

    number: int
    name: str
    dice: float | None
    iou: float | None
    images: int


@dataclass(frozen=True)
class Confused:
    """`pixels` have the class `truth` in truth and another one, `predicted`, in the masks: `share` of that class."""

    truth: int
    predicted: int
    pixels: int
    share: float


@dataclass(frozen=True)
class ClassConfusion:
    """The sums over all images. `names` has background first.

    `matrix` is int64 (K + 1, K + 1), by the class in truth, then by the predicted one; truth has class n in
    `images_with[n]` images.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    images_with: tuple[int, ...]

    @property
    def shares(self) -> np.ndarray:
        """Each row of the matrix as shares of the class in truth, float64 (K + 1, K + 1); NaN where truth has none."""
        whole = self.matrix.sum(axis=1, keepdims=True)
        return np.divide(self.matrix, whole, out=np.full(self.matrix.shape, np.nan), where=whole > 0)

    @property
    def results(self) -> tuple[ClassResult, ...]:
        """The result of each class but background."""
        dice, iou, occurs = metrics.class_scores(self.matrix)
        return tuple(
            ClassResult(
                number=number,
                name=self.names[number],
                dice=float(dice[number - 1]) if occurs[number - 1] else None,
                iou=float(iou[number - 1]) if occurs[number - 1] else None,
                images=self.images_with[number],
            )
            for number in range(1, len(self.names))
        )

    def confused(self, *, background: bool = False) -> tuple[Confused, ...]:
        """Return the classes that were taken for another, most pixels first; with `background` as one of them."""
        shares, first = self.shares, 0 if background else 1
        wrong = self.matrix * ~np.eye(len(self.names), dtype=bool)
        found = [
            Confused(int(truth), int(predicted), int(wrong[truth, predicted]), float(shares[truth, predicted]))
            for truth, predicted in np.argwhere(wrong > 0)
            if min(truth, predicted) >= first
        ]
        return tuple(sorted(found, key=lambda each: -each.pixels))

    @property
    def often_confused(self) -> tuple[Confused, ...]:
        """The pairs of classes to name in a sentence, most pixels first; background is none of them."""
        return tuple(each for each in self.confused() if each.share >= LEAST_SHARE)[:MOST_PAIRS]


def class_confusion(names: Sequence[str], images: Collection[Rows]) -> ClassConfusion:
    """Return the sums over the images; `names` has background first, and its length bounds every class number."""
    matrix = metrics.confusion_matrix((row for rows in images for row in rows), len(names) - 1)
    return ClassConfusion(tuple(names), matrix, _images_with(images, len(names)))


def _images_with(images: Iterable[Rows], classes: int) -> tuple[int, ...]:
    counts = [0] * classes
    for rows in images:
        for number in {truth for truth, _, _ in rows}:
            counts[number] += 1
    return tuple(counts)
