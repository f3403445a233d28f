"""Dice and IoU over a set of images, summed batch by batch.

All compare with the target's mask, which is foreground where the target is at least 0.5, so that scores against soft
targets and truth are comparable. Pixels of weight 0 do not count, all others count 1. The result is that of
`engine.imaging.metrics` with all pixels of the set as one image.

With one class, "dice" and "iou" are those of foreground. With several, they are means over the classes that occur, and
"dice_1", "iou_1" and so on are those of each class.
"""

from __future__ import annotations

import keras
from keras import ops

from engine.network.losses import planes, sums

ABSENT = -1.0
"""The score of a class that neither the targets nor the masks have: it is not reported."""


def metrics_of(outputs: int) -> list[keras.metrics.Metric]:
    """Return the metrics of a network with this number of outputs (`engine.core.network_parameters`)."""
    if outputs == 1:
        return [SoftDice("dice"), BinaryIoU("iou")]
    sums = ClassDice("dice", outputs)
    others = [("dice", number) for number in range(1, outputs)] + [("iou", number) for number in range(outputs)]
    return [sums, *(ReadFrom(sums, score, number) for score, number in others)]


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


class ClassDice(keras.metrics.Metric):
    """The mean over classes of 2 Σpm / (Σp + Σm), and the sums that other scores of the same pixels are read from.

    `dice_part` and `dice_whole` are those of probabilities without a threshold; `iou_part` and `iou_whole` are
    |P ∩ M| and |P ∪ M| of masks by the rule of `engine.imaging.class_maps.to_classes` at 0.5. A class that neither the
    targets nor the masks have is `ABSENT` and does not count in the mean.
    """

    def __init__(self, name: str, outputs: int) -> None:
        super().__init__(name=name, dtype="float32")
        self.sums = {
            each: self.add_weight((outputs - 1,), "zeros", dtype="float64", name=each)
            for each in ("dice_part", "dice_whole", "iou_part", "iou_whole")
        }

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        compared = planes(y_true, y_pred)
        counted = ops.cast(compared.weight > 0, "float32")
        truth = counted * ops.cast(compared.share >= 0.5, "float32")
        seen = counted * ops.cast(1 - compared.background >= 0.5, "float32")
        mask = first_of_most(compared.classes)
        marked, found = sums(compared.likely, truth), sums(mask, seen)
        overlap = sums(compared.likely * mask, truth * seen)
        values = (
            2 * sums(compared.of_likely, truth),
            marked + sums(compared.classes, counted),
            overlap,
            marked + found - overlap,
        )
        for variable, each in zip(self.sums.values(), values, strict=True):
            variable.assign_add(ops.sum(ops.cast(each, "float64"), axis=0))

    def score(self, name: str, number: int):
        """Return "dice" or "iou" of a class, or the mean for number 0."""
        occurs = self.sums["iou_whole"] > 0
        ratio = self.sums[f"{name}_part"] / ops.maximum(self.sums[f"{name}_whole"], 1e-12)
        if number:
            return ops.cast(ops.where(occurs, ratio, ABSENT * ops.ones_like(ratio))[number - 1], "float32")
        count = ops.sum(ops.cast(occurs, "float64"))
        mean = ops.sum(ops.where(occurs, ratio, ops.zeros_like(ratio))) / ops.maximum(count, 1)
        return ops.cast(ops.where(count > 0, mean, ops.ones_like(mean)), "float32")

    def result(self):
        return self.score("dice", 0)


class ReadFrom(keras.metrics.Metric):
    """A score of one class, or the mean for number 0, from the sums of another metric, which is updated before."""

    def __init__(self, sums: ClassDice, score: str, number: int) -> None:
        super().__init__(name=f"{score}_{number}" if number else score, dtype="float32")
        self._sums, self._score, self._number = [sums], score, number  # in a list: its weights are not counted twice

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        pass

    def result(self):
        return self._sums[0].score(self._score, self._number)


def first_of_most(probability):
    """Return 1 in the class of the highest probability of each pixel, the first of several, (B, K, H, W)."""
    ranks = ops.reshape(ops.arange(probability.shape[1], 0, -1, dtype="float32"), (-1, 1, 1))
    highest = ops.cast(probability == ops.max(probability, axis=1, keepdims=True), "float32") * ranks
    return ops.cast(highest == ops.max(highest, axis=1, keepdims=True), "float32")


def _mask_and_weight(target):
    """Return the mask and 1 where a pixel counts, float32 (B, H, W, 1), of targets (B, H, W, 2)."""
    truth, weight = target[..., :1], target[..., 1:2]
    return ops.cast(truth >= 0.5, "float32"), ops.cast(weight > 0, "float32")
