"""What people draw on images, as a map uint8 (H, W): the class of each pixel, 0 for background, or one of two values.

A few strokes and a whole mask are the same thing.
"""

from __future__ import annotations

import cv2
import numpy as np

LEFT_OUT, UNTOUCHED = 254, 255

LEAST_SHARE = 0.25
"""A pixel of a reduced map is marked if one value covers this share of it, so that thin strokes survive."""


def shrink_correction(correction: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a correction reduced to `shape`: each pixel has the value that covers most of it, `UNTOUCHED` aside."""
    if correction.shape == shape:
        return correction
    small, most = np.full(shape, UNTOUCHED, np.uint8), np.full(shape, LEAST_SHARE, np.float32)
    for value in np.unique(correction[correction != UNTOUCHED]):
        cover = cv2.resize((correction == value).astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
        better = cover >= most
        small[better], most[better] = value, cover[better]
    return small
