"""Dice and IoU over a set of images, summed batch by batch.

Both compare with the target's mask, which is foreground where the target is at least 0.5, so that scores against soft
targets and truth are comparable. Pixels of weight 0 do not count, all others count 1. The result is that of
`engine.imaging.metrics` with all pixels of the set as one image.
"""

from __future__ import annotations

import keras
from keras import ops

from engine.network.losses import split_weight


class _Ratio(keras.metrics.Metric):
    """A fraction whose two parts are summed over batches; 0 / 0 is 1, as everything is correctly empty."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        # Sums are float64, as float32 loses single pixels above 2^24
        self.part = self.add_weight(name="part", initializer="zeros", dtype="float64")
        self.whole = self.add_weight(name="whole", initializer="zeros", dtype="float64")

    def _add(self, part, whole) -> None:
        self.part.assign_add(ops.cast(part, "float64"))
        self.whole.assign_add(ops.cast(whole, "float64"))

    def result(self):
        ratio = self.part / ops.maximum(self.whole, 1e-12)
        return ops.cast(ops.where(self.whole > 0, ratio, ops.ones_like(ratio)), "float32")


class SoftDice(_Ratio):
    """2 Σpm / (Σp + Σm): the Dice coefficient of probabilities without a threshold.

    Where the target is empty and no probability reaches 0.5, it is 1, as that of the masks is.
    """

    def __init__(self, name: str = "dice") -> None:
        super().__init__(name)
        self.marked = self.add_weight(name="marked", initializer="zeros", dtype="float64")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        truth, weight = _mask_and_weight(y_true)
        probability = weight * y_pred
        marked = ops.sum(weight * truth)
        self._add(2 * ops.sum(truth * probability), marked + ops.sum(probability))
        predicted = ops.sum(weight * ops.cast(y_pred >= 0.5, "float32"))
        self.marked.assign_add(ops.cast(marked + predicted, "float64"))

    def result(self):
        ratio = super().result()
        return ops.where(self.marked > 0, ratio, ops.ones_like(ratio))


class BinaryIoU(_Ratio):
    """|P ∩ M| / |P ∪ M| of the masks at a threshold of 0.5."""

    def __init__(self, name: str = "iou") -> None:
        super().__init__(name)

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        truth, weight = _mask_and_weight(y_true)
        predicted = weight * ops.cast(y_pred >= 0.5, "float32")
        overlap = ops.sum(truth * predicted)
        self._add(overlap, ops.sum(weight * truth) + ops.sum(predicted) - overlap)


def _mask_and_weight(target):
    """Return the mask and 1 where a pixel counts, float32 (B, H, W, 1), of targets (B, H, W, 2)."""
    truth, weight = split_weight(target)
    return ops.cast(truth >= 0.5, "float32"), ops.cast(weight > 0, "float32")
