"""What a superpixel looks like to the clustering of a whole dataset: colour, texture, surroundings, place.

Every number is comparable between images of a dataset, whatever their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engine.pseudo_labels.features import to_lab
from engine.pseudo_labels.superpixels import Superpixels, find_superpixels

GROUPS = {"colour": slice(0, 3), "texture": slice(3, 8), "surroundings": slice(8, 14), "position": slice(14, 17)}
"""Which columns of the features belong together; a weight is given to each group."""

WIDTH = 17


@dataclass(frozen=True)
class Look:
    """The superpixels of one image of the dataset."""

    features: np.ndarray
    """float32 (N, WIDTH), see `superpixel_features`."""
    areas: np.ndarray
    """float32 (N,): share of the image; they add up to 1."""
    border: np.ndarray
    """float32 (N,): share of the image border; they add up to 1."""
    centres: np.ndarray
    """float32 (N, 2): mean row and column in [0, 1]."""


def look_at_superpixels(image: np.ndarray, count: int) -> Look:
    """Return what about `count` superpixels of a uint8 RGB image (H, W, 3) look like."""
    lab = to_lab(image)
    superpixels = find_superpixels(image, count)
    labels = superpixels.labels
    sides = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    border = np.bincount(sides, minlength=len(superpixels.areas)) / len(sides)
    areas = superpixels.areas / labels.size
    return Look(
        superpixel_features(lab, superpixels),
        areas.astype(np.float32),
        border.astype(np.float32),
        superpixels.centres,
    )


def superpixel_features(lab: np.ndarray, superpixels: Superpixels) -> np.ndarray:
    """Return float32 (N, WIDTH) of the superpixels of a Lab image float32 (H, W, 3).

    Columns: mean Lab; texture (logarithms of mean gradient, of fine and coarse local contrast of lightness, and the
    spread of lightness and of colour inside); surroundings (colour against a wide neighbourhood and against the
    image's mean); row, column and distance from the image border.
    """
    height, width = lab.shape[:2]
    side = max(height, width)
    lightness = lab[..., 0]
    across, down = cv2.Sobel(lightness, cv2.CV_32F, 1, 0), cv2.Sobel(lightness, cv2.CV_32F, 0, 1)
    wide = cv2.blur(lab, (odd(side / 8), odd(side / 8)))
    pictures = np.dstack(
        [
            cv2.magnitude(across, down) / 8,
            np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), 1.5)),
            np.abs(cv2.GaussianBlur(lightness, (0, 0), 1.5) - cv2.GaussianBlur(lightness, (0, 0), 5)),
            lab**2,
            wide,
        ]
    )
    means = superpixel_means(pictures, superpixels)
    colours = superpixels.colours
    spread = np.sqrt(np.maximum(means[:, 3:6] - colours**2, 0))
    texture = np.column_stack([means[:, :3], spread[:, 0], np.hypot(spread[:, 1], spread[:, 2])])
    centres = superpixels.centres
    inside = np.minimum(centres, 1 - centres).min(1)
    return np.column_stack(
        [
            colours,
            np.log1p(texture),
            colours - means[:, 6:9],
            colours - lab.reshape(-1, 3).mean(0),
            centres,
            inside,
        ]
    ).astype(np.float32)


def superpixel_means(pictures: np.ndarray, superpixels: Superpixels) -> np.ndarray:
    """Return float64 (N, C): the mean of each channel of (H, W, C) over each superpixel."""
    flat = superpixels.labels.ravel()
    sums = [np.bincount(flat, channel.ravel()) for channel in np.moveaxis(pictures, 2, 0)]
    return np.stack(sums, axis=1) / superpixels.areas[:, None]


def odd(length: float) -> int:
    """Return the odd number from 1 on that is nearest below `length` + 1."""
    return max(1, int(length) // 2 * 2 + 1)
