"""Where the next stroke helps most: the largest place in doubt that no stroke has touched."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from engine.imaging.corrections import UNTOUCHED

SPOT_SHARE = 0.03
"""Doubt is averaged over spots of this share of the longest side, about what a stroke covers."""

REACH_SHARE = 0.05
"""A stroke says enough about what is nearer to it than this share of the longest side."""


def next_stroke(doubts: Sequence[np.ndarray], corrections: Sequence[np.ndarray | None]) -> tuple[int, int, int]:
    """Return the index of the image that is most in doubt, and the place (x, y) in it, in pixels of its map of doubt.

    Args:
        doubts: float32 (H, W) of each image (`StrokeMask.doubt`).
        corrections: uint8 (H, W) of each image, None for one without.
    """
    best = (-1.0, 0, 0, 0)
    for index, (doubt, correction) in enumerate(zip(doubts, corrections, strict=True)):
        spots = cv2.GaussianBlur(doubt, (0, 0), max(SPOT_SHARE * max(doubt.shape), 0.5))
        if correction is not None and (correction != UNTOUCHED).any():
            far = cv2.distanceTransform((correction == UNTOUCHED).astype(np.uint8), cv2.DIST_L2, 3)
            spots = np.where(far > REACH_SHARE * max(doubt.shape), spots, 0)
        y, x = np.unravel_index(int(spots.argmax()), spots.shape)
        best = max(best, (float(spots[y, x]) + float(doubt.mean()), -index, int(x), int(y)))
    return -best[1], best[2], best[3]
