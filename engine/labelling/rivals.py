"""Cheap masks of an image that a drawn mask is compared with: what a second opinion would call the object.

Each is one classic idea in a few lines, so that together they cost a fraction of any method that is judged by them.
"""

from __future__ import annotations

import cv2
import numpy as np

STRIP_SHARE = 0.08
"""Width of the border strips that are taken for ground, as a share of the longer side."""


def rivals(lab: np.ndarray) -> list[np.ndarray]:
    """Return masks bool (H, W) of a Lab image float32 (H, W, 3): lighter, darker, unlike the border, rare in colour,
    lighter and darker than the surroundings.
    """
    lightness = cv2.GaussianBlur(lab[..., 0], (0, 0), 1)
    light = parted(lightness)
    reach = int(max(lightness.shape) / 5) | 1
    local = lightness - cv2.blur(lab[..., 0], (reach, reach))
    rare = np.linalg.norm(cv2.GaussianBlur(lab, (0, 0), 2) - lab.reshape(-1, 3).mean(0), axis=-1)
    return [
        light,
        ~light,
        parted(unlike_border(lab)),
        parted(rare),
        parted(np.maximum(local, 0)),
        parted(np.maximum(-local, 0)),
    ]


def parted(values: np.ndarray) -> np.ndarray:
    """Return bool (H, W): where `values` lie above their Otsu threshold; nowhere if all are the same."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-6:
        return np.zeros(values.shape, bool)
    levels = ((values - low) * (255 / (high - low))).astype(np.uint8)
    return levels > cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0]


def unlike_border(lab: np.ndarray) -> np.ndarray:
    """Return float32 (H, W): how far each colour lies from those of three of the four border strips.

    Mahalanobis distance to each strip; the strip that a pixel is most unlike is left out, as an object may cover it
    (Zhang et al., "Minimum barrier salient object detection at 80 FPS", ICCV 2015, doi:10.1109/ICCV.2015.165).
    """
    wide = max(2, round(STRIP_SHARE * max(lab.shape[:2])))
    pixels = lab.reshape(-1, 3)
    distances = []
    for strip in (lab[:wide], lab[-wide:], lab[:, :wide], lab[:, -wide:]):
        ground = strip.reshape(-1, 3)
        centred = ground - ground.mean(0)
        # 3 Lab units on top: a strip of one colour must not make every other colour infinitely far.
        spread = centred.T @ centred / len(ground) + 9 * np.eye(3)
        away = pixels - ground.mean(0)
        distance = np.sqrt(np.maximum((away @ np.linalg.inv(spread) * away).sum(1), 0))
        distances.append(distance / max(float(distance.max()), 1e-6))
    three = np.sort(distances, axis=0)[:3].sum(0).reshape(lab.shape[:2])
    return cv2.GaussianBlur(three.astype(np.float32), (0, 0), 2)
