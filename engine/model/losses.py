"""What learning makes small. Each loss takes targets and probabilities (B, H, W, 1) in [0, 1], float32.

A target may be soft: a pseudo-label's probability is a target as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

EPSILON = 1e-6  # keeps logarithms finite in float32
FOCUS = 2.0  # gamma of the focal loss, as its authors advise
ALL = (1, 2, 3)

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def binary_crossentropy(target, probability):
    """Return the mean cross-entropy per pixel, (B,)."""
    return ops.mean(_crossentropy(target, probability), axis=ALL)


def dice(target, probability):
    """Return 1 − 2 Σpt / (Σp + Σt) for each image, (B,); two empty masks give 0.

    Source: Milletari, Navab, Ahmadi, "V-Net", 3DV 2016, doi:10.1109/3DV.2016.79, without the squares in the
    denominator: with them, hesitant probabilities cost little and stayed below 0.5 for many epochs. One pixel is added
    above and below, so that an empty target has a gradient.
    """
    overlap = ops.sum(target * probability, axis=ALL)
    sizes = ops.sum(target, axis=ALL) + ops.sum(probability, axis=ALL)
    return 1 - (2 * overlap + 1) / (sizes + 1)


def bce_dice(target, probability):
    """Return the sum of cross-entropy and Dice, (B,): steady gradients from one, balance of areas from the other."""
    return binary_crossentropy(target, probability) + dice(target, probability)


def focal(target, probability):
    """Return the mean of |t − p|^γ times the cross-entropy, (B,).

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, doi:10.1109/ICCV.2017.324, in the form that
    Li et al., "Generalized Focal Loss", NeurIPS 2020, gave it for soft targets.
    """
    weight = ops.power(ops.abs(target - probability), FOCUS)
    return ops.mean(weight * _crossentropy(target, probability), axis=ALL)


LOSSES: dict[str, Loss] = {
    "binary_crossentropy": binary_crossentropy,
    "dice": dice,
    "bce_dice": bce_dice,
    "focal": focal,
}


def _crossentropy(target, probability):
    probability = ops.clip(probability, EPSILON, 1 - EPSILON)
    return -(target * ops.log(probability) + (1 - target) * ops.log(1 - probability))
