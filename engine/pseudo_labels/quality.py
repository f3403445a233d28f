"""How far a drawn mask can be trusted, told from the image alone: no truth is read.

Each part is a number in [0, 1], larger for better; the score is their weighted mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from engine.pseudo_labels.base import shrink
from engine.pseudo_labels.features import to_lab
from engine.pseudo_labels.rivals import rivals

SIDE_PX = 200
"""Masks are judged at this longest side."""

WEIGHTS = {
    "agreement": 2.0,
    "border": 1.0,
    "edges": 1.0,
    "colour": 1.0,
    "separation": 1.0,
    "stability": 2.0,
    "shape": 1.0,
    "confidence": 0.5,
    "area": 0.5,
}

LEAST_AREA = 0.0005
GREATEST_AREA = 0.97
"""Shares of the image outside which a mask is none."""


@dataclass(frozen=True)
class Quality:
    """`score` in [0, 1]; `parts` by name, each in [0, 1]; `clear` is False where no foreground stands out."""

    score: float
    parts: dict[str, float]
    clear: bool


def assess(image: np.ndarray, probability: np.ndarray, redraw: Callable[[np.ndarray], np.ndarray]) -> Quality:
    """Return the quality of a foreground probability float32 (H, W) that a recipe drew on a uint8 RGB image (H, W, 3).

    `redraw(image)` draws another view of the image (mirrored and smaller) with the same recipe; it is called once.
    """
    small = shrink(image, SIDE_PX)
    height, width = small.shape[:2]
    probability = cv2.resize(probability, (width, height), interpolation=cv2.INTER_AREA)
    mask = probability >= 0.5
    area = float(mask.mean())
    if not LEAST_AREA <= area <= GREATEST_AREA:
        return Quality(0.0, dict.fromkeys(WEIGHTS, 0.0), clear=False)
    mirrored = np.ascontiguousarray(small[:, ::-1])
    again = np.ascontiguousarray(redraw(mirrored)[:, ::-1])
    lab = cv2.GaussianBlur(to_lab(small), (0, 0), 0.8)
    parts = {
        "agreement": agreement(lab, mask),
        "border": border(mask),
        "edges": edges(lab, mask),
        "colour": colour(lab, mask),
        "separation": separation(lab, mask),
        "stability": overlap(probability, again),
        "shape": shape(mask),
        "confidence": confidence(probability, mask),
        "area": float(np.clip(min(area / 0.02, (1 - area) / 0.4), 0, 1)),
    }
    parts = {name: round(float(np.clip(value, 0, 1)), 4) for name, value in parts.items()}
    score = sum(WEIGHTS[name] * value for name, value in parts.items()) / sum(WEIGHTS.values())
    return Quality(round(score, 4), parts, clear=score >= 0.35)


def agreement(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean IoU of the mask with the two rivals that agree with it most."""
    return float(np.mean(sorted(overlap(mask, rival) for rival in rivals(lab))[-2:]))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of two masks, or of two probabilities: sum of minima over sum of maxima."""
    union = float(np.maximum(a, b).sum())
    return float(np.minimum(a, b).sum()) / union if union else 0.0


def border(mask: np.ndarray) -> float:
    """Return 1 for a mask that keeps away from the image border, less the more of it the mask holds for its size.

    From boundary connectivity (Zhu et al., CVPR 2014, doi:10.1109/CVPR.2014.360).
    """
    held = np.count_nonzero(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]))
    return float(np.exp(-(held**2) / (2 * np.count_nonzero(mask))))


def edges(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean rank, among all pixels, of the image's gradient along the mask's outline."""
    gradient = cv2.dilate(_gradient(lab), np.ones((3, 3)))
    outline = mask & ~_eroded(mask, 1)
    if not outline.any():
        return 0.0
    ranked = np.sort(gradient.ravel())
    return float(np.searchsorted(ranked, gradient[outline]).mean() / gradient.size)


def colour(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return the chi-square distance of the colour histograms of the mask and of a ring around it."""
    wide = max(2, round(0.05 * max(mask.shape)))
    ring = _dilated(mask, wide) & ~mask
    if not ring.any():
        return 0.0
    low, high = np.percentile(lab.reshape(-1, 3), [1, 99], axis=0)
    bins = np.clip((lab - low) / np.maximum(high - low, 8) * 8, 0, 7).astype(int)
    codes = bins @ np.array([64, 8, 1])
    inside, outside = (np.bincount(codes[each], minlength=512) / each.sum() for each in (mask, ring))
    return float(((inside - outside) ** 2 / np.maximum(inside + outside, 1e-12)).sum() / 2)


def separation(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return the share of the image's variance in colour that the mask explains."""
    share = mask.mean()
    total = float(lab.reshape(-1, 3).var(0).sum())
    between = float(((lab[mask].mean(0) - lab[~mask].mean(0)) ** 2).sum()) * share * (1 - share)
    return between / total if total > 0 else 0.0


def shape(mask: np.ndarray) -> float:
    """Return the mean solidity of the mask's pieces, larger ones counting more."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = hulls = 0.0
    for outline in outlines:
        # Outlines run through pixel centres: half a pixel is missing all around.
        filled += cv2.contourArea(outline) + len(outline) / 2 + 1
        hull = cv2.convexHull(outline)
        hulls += cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return min(1.0, filled / hulls)


def confidence(probability: np.ndarray, mask: np.ndarray) -> float:
    """Return 1 where every pixel is called surely, less the more doubt there is for the size of the mask."""
    doubt = float((4 * probability * (1 - probability)).sum())
    return 1 - min(1.0, doubt / np.count_nonzero(mask))


def _gradient(lab: np.ndarray) -> np.ndarray:
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    return np.sqrt((across**2 + down**2).max(axis=2))


def _eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0


def _dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1,) * 2, np.uint8)) > 0
