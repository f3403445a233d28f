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

from engine.network.losses import shares, split_weight


def metrics_of(outputs: int) -> list[keras.metrics.Metric]:
    """Return the metrics of a network with this number of outputs (`engine.core.network_parameters`)."""
    if outputs == 1:
        return [SoftDice("dice"), BinaryIoU("iou")]
    dice, iou = ClassDice("dice", outputs), ClassIoU("iou", outputs)
    return [mean if number == 0 else OneClass(mean, number) for mean in (dice, iou) for number in range(outputs)]


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


class _ClassRatios(keras.metrics.Metric):
    """A fraction for each class, whose parts are summed over batches, and their mean over the classes that occur.

    A class that neither the targets nor the masks have is 1 by itself and does not count in the mean.
    """

    def __init__(self, name: str, outputs: int) -> None:
        super().__init__(name=name, dtype="float32")
        shape = (outputs - 1,)
        self.part, self.whole, self.marked = (
            self.add_weight(shape, "zeros", dtype="float64", name=each) for each in ("part", "whole", "marked")
        )

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        weight = ops.cast(y_true[..., 1:2] > 0, "float32")
        outputs = y_pred.shape[-1]
        hard = ops.concatenate([ops.cast(y_true[..., :1] >= 0.5, "float32"), y_true[..., 1:]], axis=-1)
        truth = weight * shares(hard, outputs)[..., 1:]
        likely = ops.one_hot(ops.argmax(y_pred[..., 1:], axis=-1), outputs - 1)
        mask = weight * likely * ops.cast(1 - y_pred[..., :1] >= 0.5, "float32")
        self._add(truth, mask, weight * y_pred[..., 1:])
        self._sum(self.marked, truth + mask)

    def _add(self, truth, mask, probability) -> None:
        """Add to `part` and `whole`: all (B, H, W, K), 0 where a pixel does not count."""
        raise NotImplementedError

    @staticmethod
    def _sum(variable, values) -> None:
        variable.assign_add(ops.cast(ops.sum(values, axis=(0, 1, 2)), "float64"))

    def ratios(self):
        """Return the fraction of each class, float32 (K,), and 1 for each that occurs."""
        occurs = self.marked > 0
        ratio = ops.where(occurs, self.part / ops.maximum(self.whole, 1e-12), ops.ones_like(self.part))
        return ops.cast(ratio, "float32"), ops.cast(occurs, "float32")

    def result(self):
        ratio, occurs = self.ratios()
        count = ops.sum(occurs)
        mean = ops.sum(ratio * occurs) / ops.maximum(count, 1)
        return ops.where(count > 0, mean, ops.ones_like(mean))


class ClassDice(_ClassRatios):
    """2 Σpm / (Σp + Σm) of each class: the Dice coefficient of probabilities without a threshold."""

    def _add(self, truth, mask, probability) -> None:
        self._sum(self.part, 2 * truth * probability)
        self._sum(self.whole, truth + probability)


class ClassIoU(_ClassRatios):
    """|P ∩ M| / |P ∪ M| of each class's mask, by the rule of `engine.imaging.class_maps.to_classes` at 0.5."""

    def _add(self, truth, mask, probability) -> None:
        self._sum(self.part, truth * mask)
        self._sum(self.whole, ops.maximum(truth, mask))


class OneClass(keras.metrics.Metric):
    """The fraction of one class, read from the sums of the metric of all, which is updated before."""

    def __init__(self, of_all: _ClassRatios, number: int) -> None:
        super().__init__(name=f"{of_all.name}_{number}", dtype="float32")
        self._of_all, self._index = [of_all], number - 1  # in a list: its weights are not counted twice

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        pass

    def result(self):
        return self._of_all[0].ratios()[0][self._index]


def _mask_and_weight(target):
    """Return the mask and 1 where a pixel counts, float32 (B, H, W, 1), of targets (B, H, W, 2)."""
    truth, weight = split_weight(target)
    return ops.cast(truth >= 0.5, "float32"), ops.cast(weight > 0, "float32")
