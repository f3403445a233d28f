"""Refinement of a coarse foreground probability by the image: guided filter, and GrabCut with a plausibility check.

Sources: He, Sun and Tang, "Guided image filtering", IEEE Trans. Pattern Analysis and Machine Intelligence 35(6), 2013,
doi:10.1109/TPAMI.2012.213; Rother, Kolmogorov and Blake, "GrabCut: interactive foreground extraction using iterated
graph cuts", ACM Trans. Graphics 23(3), 2004, doi:10.1145/1015706.1015720.
"""

from __future__ import annotations

import cv2
import numpy as np

from engine.labelling.base import shrink

FIXED_SHARE = 0.5
"""Share of the mask, and of the background, that is fixed in GrabCut: where the probability is most certain."""

GREATEST_AREA_CHANGE = 2.5
"""A GrabCut that changes the area of the mask by more than this factor has followed the wrong colours."""

GRABCUT_SHARE = 0.8
"""Weight of GrabCut's mask in the result of `cut_again`; the rest is that of the original probability."""

GRABCUT_ROUNDS = 1
"""More take 12 to 15 ms each and change the mean IoU of photographs by .003 at most (docs/methods.md)."""

FILTER_CONTRAST = 0.1
"""The step, as a share of full contrast, from which the guided filter preserves an edge."""


def cut_again(image: np.ndarray, probability: np.ndarray, longest_side_px: int, rng: np.random.Generator) -> np.ndarray:
    """Return the mean of the probability (H, W) and GrabCut's mask, weighted by GRABCUT_SHARE.

    The probability is unchanged if `grabcut`, which defines the arguments, returns None.
    """
    cut = grabcut(image, probability, GRABCUT_ROUNDS, longest_side_px, rng)
    if cut is None:
        return probability
    return GRABCUT_SHARE * cut.astype(np.float32) + (1 - GRABCUT_SHARE) * probability


def follow_edges(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the probability float32 (H, W) smoothed by a guided filter whose radius suits the size of the image."""
    radius_px = max(3, round(max(probability.shape) / 66))
    return guided_filter(image, probability, radius_px, FILTER_CONTRAST)


def guided_filter(image: np.ndarray, probability: np.ndarray, radius_px: int, edge_contrast: float) -> np.ndarray:
    """Return the probability float32 (H, W) smoothed within, not across, the edges of a uint8 RGB image (H, W, 3).

    Steps of more than `edge_contrast` (a share of full contrast) between neighbours in the image are kept.
    """
    guide = image.astype(np.float32) / 255
    smooth = cv2.ximgproc.guidedFilter(guide, probability.astype(np.float32), radius_px, edge_contrast**2)
    return np.clip(smooth, 0, 1)


def grabcut(
    image: np.ndarray, probability: np.ndarray, iterations: int, longest_side_px: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Return the foreground bool (H, W) of GrabCut, initialised with a probability (H, W) in [0, 1].

    It runs on the image reduced to `longest_side_px`. None if the result is implausible: no foreground or no background
    before or after, or an area that has changed by more than GREATEST_AREA_CHANGE.
    """
    small = shrink(image, longest_side_px)
    start = cv2.resize(probability, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    inside = start > 0.5
    before = np.count_nonzero(inside)
    if before in (0, start.size):
        return None
    trimap = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    # By rank, not by value, as the range of probabilities differs between images. Ties are broken by depth.
    certainty = np.abs(start - 0.5) + 1e-3 * _depth(inside)
    for side, fixed in ((inside, cv2.GC_FGD), (~inside, cv2.GC_BGD)):
        trimap[side & (certainty >= np.quantile(certainty[side], 1 - FIXED_SHARE))] = fixed
    # OpenCV has its own random generator for each thread; seeding it here makes the result reproducible.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.grabCut(small, trimap, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), iterations, cv2.GC_INIT_WITH_MASK)
    foreground = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    after = np.count_nonzero(foreground)
    if after == start.size or not before / GREATEST_AREA_CHANGE <= after <= before * GREATEST_AREA_CHANGE:
        return None
    return cv2.resize(foreground.astype(np.float32), probability.shape[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5


def _depth(mask: np.ndarray) -> np.ndarray:
    """Return float32 (H, W) in [0, 1]: the distance of each pixel from the outline of the mask."""
    inside, outside = (cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 3) for side in (mask, ~mask))
    depth = inside + outside
    return depth / depth.max()
