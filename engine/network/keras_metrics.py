"""Dice and IoU over a whole set of images, summed batch by batch.

Both compare with the target's mask, which is foreground where the target is at least 0.5, so that a soft target scores
on the same scale as truth. Pixels of weight 0 do not count, all others count 1. They agree with
`engine.imaging.metrics` on all pixels of the set taken as one image.
"""

from __future__ import annotations

import keras
from keras import ops

from engine.network.losses import split_weight


class _Ratio(keras.metrics.Metric):
    """A fraction whose two parts are summed over batches; 0 / 0 means that all was rightly empty, and is 1."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        # float32 loses single pixels above 2^24, so batches are summed in float64
        self.part = self.add_weight(name="part", initializer="zeros", dtype="float64")
        self.whole = self.add_weight(name="whole", initializer="zeros", dtype="float64")

    def _add(self, part, whole) -> None:
        self.part.assign_add(ops.cast(part, "float64"))
        self.whole.assign_add(ops.cast(whole, "float64"))

    def result(self):
        ratio = self.part / ops.maximum(self.whole, 1e-12)
        return ops.cast(ops.where(self.whole > 0, ratio, ops.ones_like(ratio)), "float32")


class SoftDice(_Ratio):
    """2 Σpm / (Σp + Σm): the Dice coefficient of probabilities without a threshold."""

    def __init__(self, name: str = "dice") -> None:
        super().__init__(name)

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        wanted, weight = _mask_and_weight(y_true)
        probability = weight * y_pred
        self._add(2 * ops.sum(wanted * probability), ops.sum(weight * wanted) + ops.sum(probability))


class BinaryIoU(_Ratio):
    """|P ∩ M| / |P ∪ M| of the masks at a threshold of 0.5."""

    def __init__(self, name: str = "iou") -> None:
        super().__init__(name)

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        wanted, weight = _mask_and_weight(y_true)
        predicted = weight * ops.cast(y_pred >= 0.5, "float32")
        overlap = ops.sum(wanted * predicted)
        self._add(overlap, ops.sum(weight * wanted) + ops.sum(predicted) - overlap)


def _mask_and_weight(target):
    """Return the mask and 1 where a pixel counts, float32 (B, H, W, 1), of targets (B, H, W, 2)."""
    wanted, weight = split_weight(target)
    return ops.cast(wanted >= 0.5, "float32"), ops.cast(weight > 0, "float32")
