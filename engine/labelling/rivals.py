"""Simple masks of an image, with which the mask of a method is compared.

Each is a classic idea in a few lines, so that together they take a fraction of the time of a method.
"""

from __future__ import annotations

import cv2
import numpy as np

STRIP_SHARE = 0.08
"""Width of the border strips that count as background, as a share of the longer side."""


def rivals(lab: np.ndarray) -> list[np.ndarray]:
    """Return masks bool (H, W) of a Lab image float32 (H, W, 3): lighter, darker, different from the border, of rare
    colour, lighter and darker than the surroundings.
    """
    lightness = cv2.GaussianBlur(lab[..., 0], (0, 0), 1)
    light = above_otsu(lightness)
    reach = int(max(lightness.shape) / 5) | 1
    local = lightness - cv2.blur(lab[..., 0], (reach, reach))
    rare = np.linalg.norm(cv2.GaussianBlur(lab, (0, 0), 2) - lab.reshape(-1, 3).mean(0), axis=-1)
    return [
        light,
        ~light,
        above_otsu(border_distance(lab)),
        above_otsu(rare),
        above_otsu(np.maximum(local, 0)),
        above_otsu(np.maximum(-local, 0)),
    ]


def above_otsu(values: np.ndarray) -> np.ndarray:
    """Return bool (H, W): where `values` exceed their Otsu threshold; nowhere if all are equal."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-6:
        return np.zeros(values.shape, bool)
    levels = ((values - low) * (255 / (high - low))).astype(np.uint8)
    return levels > cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0]


def border_distance(lab: np.ndarray) -> np.ndarray:
    """Return float32 (H, W): the distance of each colour from those of three of the four border strips.

    It is the sum of the Mahalanobis distances, without the strip of the largest one, which an object may cover (Zhang
    et al., "Minimum barrier salient object detection at 80 FPS", ICCV 2015, doi:10.1109/ICCV.2015.165).
    """
    wide = max(2, round(STRIP_SHARE * max(lab.shape[:2])))
    pixels = lab.reshape(-1, 3)
    distances = []
    for strip in (lab[:wide], lab[-wide:], lab[:, :wide], lab[:, -wide:]):
        background = strip.reshape(-1, 3)
        centred = background - background.mean(0)
        # Plus 3 Lab units, so that the distance from a strip of a single colour stays finite.
        spread = centred.T @ centred / len(background) + 9 * np.eye(3)
        away = pixels - background.mean(0)
        distance = np.sqrt(np.maximum((away @ np.linalg.inv(spread) * away).sum(1), 0))
        distances.append(distance / max(float(distance.max()), 1e-6))
    three = np.sort(distances, axis=0)[:3].sum(0).reshape(lab.shape[:2])
    return cv2.GaussianBlur(three.astype(np.float32), (0, 0), 2)
