"""Channels: one value per pixel, in which object and background differ.

Source of `contrast`: Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7(2), 1936,
doi:10.1111/j.1469-1809.1936.tb02137.x, with Otsu's level in place of given classes.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from engine.labelling.cues.levels import otsu

Channel = Literal["grey", "red", "green", "blue", "colourful", "contrast"]

SAMPLE_PIXELS = 16384
ROUNDS = 4
LUMA = np.array([0.299, 0.587, 0.114])
LEAST_GAIN = 2.0
"""How much better than grey a mix must separate the pixels: a smaller gain is often due to stains, not objects."""
NOISE = 4.0
"""Variance in grey levels below which a variation of colour is noise, so that the mix does not follow noise."""


def one_channel(image: np.ndarray, channel: Channel) -> np.ndarray:
    """Return float32 (H, W), in grey levels, of an RGB uint8 image (H, W, 3).

    `colourful` is the maximum minus the minimum of red, green and blue. `contrast` is the mix of them that separates
    the pixels best into two classes (a large distance of means relative to the variance within), with a sign such that
    lighter is more. If no mix separates them LEAST_GAIN times better than grey, it is grey.
    """
    if channel == "grey":
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if channel == "colourful":
        return (image.max(axis=2) - image.min(axis=2)).astype(np.float32)
    if channel == "contrast":
        return _best_mix(image)
    return image[..., ("red", "green", "blue").index(channel)].astype(np.float32)


def _best_mix(image: np.ndarray) -> np.ndarray:
    """Return the pixels along Fisher's direction between two classes, or grey if it does not separate them better.

    Direction and classes are computed alternately. The classes start as Otsu's along each principal axis of the
    colours, and the best of the results is used.
    """
    pixels = image.reshape(-1, 3)
    sample = pixels[:: max(1, len(pixels) // SAMPLE_PIXELS)].astype(np.float64)
    sample -= sample.mean(0)
    spread = sample.T @ sample / len(sample) + NOISE * np.eye(3)
    ends = [_follow(sample, spread, axis) for axis in np.linalg.eigh(spread)[1].T]
    separation, mix = max(ends, key=lambda end: end[0])
    if separation < LEAST_GAIN * _separation(sample, spread, LUMA)[0]:
        return one_channel(image, "grey")
    mix = mix if mix.sum() >= 0 else -mix
    return (pixels.astype(np.float32) @ mix.astype(np.float32)).reshape(image.shape[:2])


def _follow(sample: np.ndarray, spread: np.ndarray, mix: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the separation of the sample in the direction reached from `mix`, and that direction (3,)."""
    for _ in range(ROUNDS):
        _, gap, within = _separation(sample, spread, mix)
        if not gap.any():
            break
        mix = np.linalg.solve(within, gap)
        mix /= np.linalg.norm(mix)
    return _separation(sample, spread, mix)[0], mix


def _separation(sample: np.ndarray, spread: np.ndarray, mix: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return, for Otsu's classes along `mix`: ratio of variances, difference of means, covariance within."""
    values = sample @ mix
    level = otsu(values)
    if level is None:
        return 0.0, np.zeros(3), spread
    light = values > level
    gap = sample[light].mean(0) - sample[~light].mean(0)
    between = light.mean() * (1 - light.mean()) * np.outer(gap, gap)
    within = spread - between
    return float((mix @ between @ mix) / (mix @ within @ mix)), gap, within
