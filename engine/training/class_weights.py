"""Weights of classes in the loss, from how many pixels of each are trained on."""

from __future__ import annotations

import numpy as np

from engine.core.run_parameters import ClassWeights
from engine.training.samples import Pixels


def class_weights(kind: ClassWeights, pixels: Pixels) -> list[float] | None:
    """Return the weights of background and of each class, or None where all count alike.

    "inverse_frequency" is 1 / n for n pixels. "effective_number" is (1 − β) / (1 − β^n) with β = (N − 1) / N, where N
    is the number of pixels in a square of the network: pixels of one object are alike, so more of a class than fill a
    square add little. Weights are scaled so that an average pixel counts 1; a class without pixels has weight 0.

    Source: Cui, Jia, Lin, Song, Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019,
    doi:10.1109/CVPR.2019.00949.
    """
    if kind == "none" or not pixels.class_pixels:
        return None
    counts = np.asarray(pixels.class_pixels, np.float64)
    known = counts > 0
    if kind == "inverse_frequency":
        weights = 1 / np.maximum(counts, 1)
    else:
        weights = 1 / -np.expm1(np.maximum(counts, 1) * np.log1p(-1 / pixels.size**2))
    weights = np.where(known, weights, 0)
    return (weights * counts.sum() / (weights * counts).sum()).tolist()
