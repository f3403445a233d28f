"""Loss functions. Each takes targets and probabilities, and returns one value for each image, (B,). All are float32.

A target is (B, H, W, 2): the foreground probability, for a pseudo-label too, and the weight of the pixel, 0 for pixels
to ignore; the network's probabilities are (B, H, W, 1). With K > 1 classes a target is (B, H, W, 3), the last channel
being the most likely class, and probabilities are (B, H, W, K + 1), background first. Every loss is a weighted mean or
ratio over `shares`, in which one class is the case K = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import ops

from engine.core.run_parameters import TrainingParams

EPSILON = 1e-6  # keeps logarithms finite in float32
FOCUS = 2.0  # gamma of the focal loss, as its authors recommend
PIXELS = (1, 2)

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def split_weight(target):
    """Return the foreground probability and the weight, (B, H, W, 1) each, of targets."""
    return target[..., :1], target[..., 1:2]


def shares(target, outputs: int):
    """Return what a target says of each class, (B, H, W, K + 1), or of foreground, (B, H, W, 1), if `outputs` is 1.

    A pixel of foreground probability p has 1 − p in background and p in its most likely class.
    """
    truth = target[..., :1]
    if outputs == 1:
        return truth
    classes = ops.one_hot(ops.cast(target[..., 2], "int32"), outputs)
    background = ops.where(target[..., 2:] > 0, 1 - truth, ops.ones_like(truth))
    return ops.concatenate([background, classes[..., 1:] * truth], axis=-1)


def loss_of(params: TrainingParams, class_weights: Sequence[float] | None = None) -> Loss:
    """Return the loss chosen by a run's parameters.

    `class_weights` are the weights of background and of each class in cross-entropy and focal loss; None weighs all
    alike. Dice and Tversky losses weigh classes alike whatever their size.
    """
    parts: dict[str, list[Loss]] = {
        "binary_crossentropy": [crossentropy(class_weights)],
        "dice": [tversky(0.5)],
        "bce_dice": [crossentropy(class_weights), tversky(0.5)],
        "focal": [crossentropy(class_weights, FOCUS)],
        "tversky": [tversky(params.tversky_alpha)],
    }
    chosen = parts[params.loss]

    def loss(target, probability):
        return sum(part(target, probability) for part in chosen)

    return loss


def crossentropy(class_weights: Sequence[float] | None = None, focus: float = 0.0) -> Loss:
    """Return the mean cross-entropy per pixel; with a `focus` γ times |t − p|^γ of each class, the focal loss.

    Source of the focal loss: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
    doi:10.1109/ICCV.2017.324, in the form that Li et al., "Generalized Focal Loss", NeurIPS 2020, gave it for soft
    targets.
    """

    def loss(target, probability):
        outputs = probability.shape[-1]
        share, clipped = shares(target, outputs), ops.clip(probability, EPSILON, 1 - EPSILON)
        weights = class_weights or [1.0] * max(outputs, 2)
        cost = -share * ops.log(clipped) * ops.convert_to_tensor(weights[-outputs:], "float32")
        if outputs == 1:  # background is the rest
            cost = cost - weights[0] * (1 - share) * ops.log(1 - clipped)
        if focus:
            cost = cost * ops.power(ops.abs(share - probability), focus)
        # Each pixel counts by its weight, so an image of low weight counts less
        return ops.mean(target[..., 1] * ops.sum(cost, axis=-1), axis=PIXELS)

    return loss


def tversky(alpha: float) -> Loss:
    """Return the loss 1 − TP / (TP + α FP + (1 − α) FN); at α = 0.5 it is the Dice loss, 1 − 2 Σpt / (Σp + Σt).

    Sources: Salehi, Erdogmus, Gholipour, "Tversky Loss Function for Image Segmentation Using 3D Fully Convolutional
    Deep Networks", MLMI 2017, doi:10.1007/978-3-319-67389-9_44; Milletari, Navab, Ahmadi, "V-Net", 3DV 2016,
    doi:10.1109/3DV.2016.79, without the squares in the denominator: with them, uncertain probabilities cost little and
    stayed below 0.5 for many epochs. Half a pixel is added to numerator and denominator, so that an empty target has a
    gradient.

    Of several classes it is the mean over all but background in each image. A class that an image lacks costs nearly a
    constant there while much of it is seen, and its gradient, of the order of 1 / P², removes the last pixels of it.
    """

    def loss(target, probability):
        weight = target[..., 1:2]
        share = shares(target, probability.shape[-1])
        if probability.shape[-1] > 1:
            share, probability = share[..., 1:], probability[..., 1:]
        true_positive = ops.sum(weight * share * probability, axis=PIXELS)
        predicted = ops.sum(weight * probability, axis=PIXELS)
        positive = ops.sum(weight * share, axis=PIXELS)
        # TP + α (P − TP) + (1 − α) (T − TP)
        ratio = (true_positive + 0.5) / (alpha * predicted + (1 - alpha) * positive + 0.5)
        # An image of low weight counts less, as in cross-entropy
        return ops.mean(1 - ratio, axis=-1) * ops.mean(weight, axis=(1, 2, 3))

    return loss
