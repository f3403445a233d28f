"""Loss functions. Each takes targets (B, H, W, 2) and probabilities (B, H, W, 1) in [0, 1], float32.

A target's first channel is the foreground probability, for a pseudo-label too; its second is the weight of the pixel, 0
for pixels to ignore. Every loss is a weighted mean or ratio for each image, (B,).
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from engine.core.run_parameters import TrainingParams

EPSILON = 1e-6  # keeps logarithms finite in float32
FOCUS = 2.0  # gamma of the focal loss, as its authors recommend
ALL = (1, 2, 3)

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def split_weight(target):
    """Return the foreground probability and the weight, (B, H, W, 1) each, of targets (B, H, W, 2)."""
    return target[..., :1], target[..., 1:]


def binary_crossentropy(target, probability):
    """Return the mean cross-entropy per pixel, (B,)."""
    truth, weight = split_weight(target)
    return _mean(_crossentropy(truth, probability), weight)


def dice(target, probability):
    """Return 1 − 2 Σpt / (Σp + Σt) for each image, (B,); two empty masks give 0.

    Source: Milletari, Navab, Ahmadi, "V-Net", 3DV 2016, doi:10.1109/3DV.2016.79, without the squares in the
    denominator: with them, uncertain probabilities cost little and stayed below 0.5 for many epochs. One pixel is added
    to numerator and denominator, so that an empty target has a gradient.
    """
    return _tversky(target, probability, 0.5)


def bce_dice(target, probability):
    """Return the sum of cross-entropy and Dice, (B,): steady gradients from one, balance of areas from the other."""
    return binary_crossentropy(target, probability) + dice(target, probability)


def focal(target, probability):
    """Return the mean of |t − p|^γ times the cross-entropy, (B,).

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, doi:10.1109/ICCV.2017.324, in the form that
    Li et al., "Generalized Focal Loss", NeurIPS 2020, gave it for soft targets.
    """
    truth, weight = split_weight(target)
    hardness = ops.power(ops.abs(truth - probability), FOCUS)
    return _mean(hardness * _crossentropy(truth, probability), weight)


def tversky(alpha: float) -> Loss:
    """Return the loss 1 − TP / (TP + α FP + (1 − α) FN) for each image, (B,); at α = 0.5 it is Dice.

    Source: Salehi, Erdogmus, Gholipour, "Tversky Loss Function for Image Segmentation Using 3D Fully Convolutional Deep
    Networks", MLMI 2017, doi:10.1007/978-3-319-67389-9_44.
    """

    def loss(target, probability):
        return _tversky(target, probability, alpha)

    return loss


_PLAIN: dict[str, Loss] = {
    "binary_crossentropy": binary_crossentropy,
    "dice": dice,
    "bce_dice": bce_dice,
    "focal": focal,
}


def loss_of(params: TrainingParams) -> Loss:
    """Return the loss chosen by a run's parameters."""
    return tversky(params.tversky_alpha) if params.loss == "tversky" else _PLAIN[params.loss]


def _tversky(target, probability, alpha: float):
    truth, weight = split_weight(target)
    true_positive = ops.sum(weight * truth * probability, axis=ALL)
    predicted = ops.sum(weight * probability, axis=ALL)
    positive = ops.sum(weight * truth, axis=ALL)
    # TP + α (P − TP) + (1 − α) (T − TP), and half a pixel in numerator and denominator
    ratio = (true_positive + 0.5) / (alpha * predicted + (1 - alpha) * positive + 0.5)
    return (1 - ratio) * ops.mean(weight, axis=ALL)  # an image of low weight counts less, as in the other losses


def _mean(values, weight):
    """Return the mean of all pixels, each counted by its weight, so that an image of low weight counts less, (B,)."""
    return ops.mean(weight * values, axis=ALL)


def _crossentropy(target, probability):
    probability = ops.clip(probability, EPSILON, 1 - EPSILON)
    return -(target * ops.log(probability) + (1 - target) * ops.log(1 - probability))
