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
    classes = max(outputs - 1, 1)
    dice = ClassDice("dice", classes)
    numbers = range(1, classes + 1) if classes > 1 else ()
    others = [*(("dice", number) for number in numbers), ("iou", 0), *(("iou", number) for number in numbers)]
    return [dice, *(ReadFrom(dice, score, number) for score, number in others)]


class ClassDice(keras.metrics.Metric):
    """The mean over K classes of 2 Σpm / (Σp + Σm), and the sums that other scores of the same pixels are read from.

    `dice_part` and `dice_whole` are those of probabilities without a threshold; `iou_part` and `iou_whole` are
    |P ∩ M| and |P ∪ M| of masks by the rule of `engine.imaging.class_maps.to_classes` at 0.5. A class that neither the
    targets nor the masks have is `ABSENT` and does not count in the mean, which is 1 if no class occurs: everything is
    correctly empty.
    """

    def __init__(self, name: str, classes: int) -> None:
        super().__init__(name=name, dtype="float32")
        # Sums are float64, as float32 loses single pixels above 2^24
        self.sums = {
            each: self.add_weight((classes,), "zeros", dtype="float64", name=each)
            for each in ("dice_part", "dice_whole", "iou_part", "iou_whole")
        }

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        compared = planes(y_true, y_pred)
        counted = ops.cast(compared.weight > 0, "float32")
        truth = counted * ops.cast(compared.share >= 0.5, "float32")
        seen = counted * ops.cast(1 - compared.background >= 0.5, "float32")
        mask = first_of_highest(compared.classes)
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


def first_of_highest(probability):
    """Return 1 in the class of the highest probability of each pixel, the first of equal ones, of (B, K, H, W)."""
    if probability.shape[1] == 1:
        return ops.ones((1, 1, 1, 1))
    ranks = ops.reshape(ops.arange(probability.shape[1], 0, -1, dtype="float32"), (-1, 1, 1))
    highest = ops.cast(probability == ops.max(probability, axis=1, keepdims=True), "float32") * ranks
    return ops.cast(highest == ops.max(highest, axis=1, keepdims=True), "float32")
