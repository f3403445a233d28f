"""Loss functions. Each takes targets and probabilities, and returns one value for each image, (B,). All are float32.

A target is (B, H, W, 2): the foreground probability, for a pseudo-label too, and the weight of the pixel, 0 for pixels
to ignore; the network's probabilities are (B, H, W, 1). With K > 1 classes a target is (B, H, W, 3), the last channel
being the most likely class, and probabilities are (B, H, W, K + 1), background first. Losses and metrics compare them
as `Planes`, in which one class is the case K = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
from keras import ops

from engine.core.run_parameters import TrainingParams

EPSILON = 1e-6  # keeps logarithms finite in float32
FOCUS = 2.0  # gamma of the focal loss, as its authors recommend
PIXELS = (1, 2)

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]
Part = Callable[["Planes"], keras.KerasTensor]


class Planes(NamedTuple):
    """A target and probabilities by class. On processors, operations along a last axis of a few classes take several
    times as long as those on a plane of each class.

    A pixel of foreground probability p has the share p in its most likely class and 1 − p in background.
    """

    weight: keras.KerasTensor
    """Of each pixel, (B, H, W)."""
    share: keras.KerasTensor
    """Of the most likely class of each pixel, (B, H, W)."""
    likely: keras.KerasTensor
    """1 where a class is the most likely one, (B, K, H, W) or, for one class, (1, 1, 1, 1)."""
    background: keras.KerasTensor
    """The probability of background, (B, H, W)."""
    classes: keras.KerasTensor
    """The probability of each class, (B, K, H, W)."""
    of_likely: keras.KerasTensor
    """The same where the class is the most likely one and 0 elsewhere, (B, K, H, W)."""


def planes(target, probability) -> Planes:
    """Return what a target and a network's probabilities say of each class."""
    share, weight = target[..., 0], target[..., 1]
    probability = ops.transpose(probability, (0, 3, 1, 2))
    if probability.shape[1] == 1:
        return Planes(weight, share, ops.ones((1, 1, 1, 1)), 1 - probability[:, 0], probability, probability)
    background, classes = ops.split(probability, [1], axis=1)
    numbers = ops.arange(1, probability.shape[1], dtype="float32")
    likely = ops.cast(target[:, None, ..., 2] == numbers[:, None, None], "float32")
    share = share * ops.cast(target[..., 2] > 0, "float32")
    return Planes(weight, share, likely, background[:, 0], classes, classes * likely)


def sums(values, weight):
    """Return the weighted sums (B, K) over all pixels of values (B, K, H, W) or (1, 1, 1, 1), by weights (B, H, W)."""
    return ops.sum(values * weight[:, None], axis=(2, 3))


def loss_of(params: TrainingParams, class_weights: Sequence[float] | None = None) -> Loss:
    """Return the loss chosen by a run's parameters.

    `class_weights` are the weights of background and of each class in cross-entropy and focal loss; None weighs all
    alike. Dice and Tversky losses weigh classes alike whatever their size.
    """
    parts: dict[str, list[Part]] = {
        "binary_crossentropy": [crossentropy(class_weights)],
        "dice": [tversky(0.5)],
        "bce_dice": [crossentropy(class_weights), tversky(0.5)],
        "focal": [crossentropy(class_weights, FOCUS)],
        "tversky": [tversky(params.tversky_alpha)],
    }
    chosen = parts[params.loss]

    def loss(target, probability):
        compared = planes(target, probability)
        return sum(part(compared) for part in chosen)

    return loss


def crossentropy(class_weights: Sequence[float] | None = None, focus: float = 0.0) -> Part:
    """Return the mean cross-entropy per pixel; with a `focus` γ times |t − p|^γ of each class, the focal loss.

    Source of the focal loss: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
    doi:10.1109/ICCV.2017.324, in the form that Li et al., "Generalized Focal Loss", NeurIPS 2020, gave it for soft
    targets.
    """

    def loss(compared: Planes):
        def cost(share, probability):
            entropy = -share * ops.log(ops.maximum(probability, EPSILON))
            return entropy * ops.power(ops.abs(share - probability), focus) if focus else entropy

        # A pixel has no share in any class but its most likely one
        background = cost(1 - compared.share, compared.background)
        foreground = cost(compared.share, ops.sum(compared.of_likely, axis=1))
        if class_weights:
            weights = ops.reshape(ops.convert_to_tensor(class_weights, "float32"), (-1, 1, 1))
            background = background * weights[0]
            foreground = foreground * ops.sum(compared.likely * weights[1:], axis=1)
        # Each pixel counts by its weight, so an image of low weight counts less
        return ops.mean(compared.weight * (background + foreground), axis=PIXELS)

    return loss


def tversky(alpha: float) -> Part:
    """Return the loss 1 − TP / (TP + α FP + (1 − α) FN); at α = 0.5 it is the Dice loss, 1 − 2 Σpt / (Σp + Σt).

    Sources: Salehi, Erdogmus, Gholipour, "Tversky Loss Function for Image Segmentation Using 3D Fully Convolutional
    Deep Networks", MLMI 2017, doi:10.1007/978-3-319-67389-9_44; Milletari, Navab, Ahmadi, "V-Net", 3DV 2016,
    doi:10.1109/3DV.2016.79, without the squares in the denominator: with them, uncertain probabilities cost little and
    stayed below 0.5 for many epochs. Half a pixel is added to numerator and denominator, so that an empty target has a
    gradient.

    Of several classes it is the mean over all but background in each image. A class that an image lacks costs nearly a
    constant there while much of it is seen, and its gradient, of the order of 1 / P², removes the last pixels of it.
    """

    def loss(compared: Planes):
        share = compared.weight * compared.share
        true_positive = sums(compared.of_likely, share)
        predicted = sums(compared.classes, compared.weight)
        positive = sums(compared.likely, share)
        # TP + α (P − TP) + (1 − α) (T − TP)
        ratio = (true_positive + 0.5) / (alpha * predicted + (1 - alpha) * positive + 0.5)
        # An image of low weight counts less, as in cross-entropy
        return ops.mean(1 - ratio, axis=-1) * ops.mean(compared.weight, axis=PIXELS)

    return loss
