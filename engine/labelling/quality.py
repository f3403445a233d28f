"""An estimate of the quality of a mask from the image alone, without truth.

It has parts, each in [0, 1] and larger for better; the score is their weighted mean, times the part "figure".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from engine.labelling.base import shrink
from engine.labelling.cues.features import to_lab
from engine.labelling.mask_shapes import MaskShape, figure, mask_shape
from engine.labelling.rivals import rivals

SIDE_PX = 200
"""Masks are assessed at this longest side."""
THIN_SIDE_PX = 400
GREATEST_LOSS = 0.15
"""A mask whose area changes by more than this share at SIDE_PX is thin, and assessed at THIN_SIDE_PX."""

WEIGHTS = {
    "colour": 1.0,
    "ring": 1.0,
    "edges": 1.0,
    "stability": 1.0,
    "shape": 1.0,
    "agreement": 0.5,
    "separation": 0.5,
    "border": 0.25,
    "confidence": 0.25,
    "area": 0.25,
}
"""The weight of each part, fitted on half of the images of two datasets (docs/methods.md)."""

NEARBY = 0.2
"""The extent of the surroundings of a pixel, as a share of the longer side."""

LEAST_STEP = 2.0
"""Lab units between mask and background, about the smallest visible difference."""
LEAST_EDGES = 0.25
LEAST_EVIDENCE = 0.6
"""For the sum of edges and colour: one may be weak if the other is strong."""
EVEN_SPREAD = 0.4
"""Standard deviation over mean of the mask's share in 16 blocks, below which it covers the image evenly."""
ONE_CLASS = 0.67
"""Otsu's threshold explains 0.64 of the variance of a single Gaussian: less is no evidence of two classes."""

LEAST_AREA = 0.0005
GREATEST_AREA = 0.97
"""Shares of the image outside which a mask counts as empty or full."""


@dataclass(frozen=True)
class Quality:
    """`score` in [0, 1]; `parts` by name, each in [0, 1]; `clear` is False if there is no clear foreground."""

    score: float
    parts: dict[str, float]
    clear: bool
    shape: MaskShape


def assess(image: np.ndarray, probability: np.ndarray, redraw: Callable[[np.ndarray], np.ndarray]) -> Quality:
    """Return the quality of a recipe's foreground probability float32 (H, W) for a uint8 RGB image (H, W, 3).

    `redraw(image)` computes the mask of another view of the image (mirrored and smaller) with the same recipe; it is
    called once.
    """
    small, probability = at_judging_size(image, probability)
    mask = probability >= 0.5
    if _trivial(mask):
        return Quality(0.0, dict.fromkeys((*WEIGHTS, "figure"), 0.0), clear=False, shape=mask_shape(mask))
    again = redraw(np.ascontiguousarray(small[:, ::-1]))[:, ::-1]
    parts = judge(small, probability, again)
    return Quality(round(_score(parts), 4), parts, clear=stands_out(small, mask, parts), shape=mask_shape(mask))


def appearance(image: np.ndarray, probability: np.ndarray) -> float:
    """Return the quality in [0, 1] of a probability float32 (H, W) of any origin: as `assess`, without stability."""
    small, probability = at_judging_size(image, probability)
    mask = probability >= 0.5
    if _trivial(mask):
        return 0.0
    parts = judge(small, probability, probability)
    del parts["stability"]
    return _score(parts)


def _score(parts: dict[str, float]) -> float:
    weights = {name: WEIGHTS[name] for name in parts if name in WEIGHTS}
    return parts["figure"] * sum(weight * parts[name] for name, weight in weights.items()) / sum(weights.values())


def _trivial(mask: np.ndarray) -> bool:
    return not LEAST_AREA <= mask.mean() <= GREATEST_AREA or bool(mask.all())


def at_judging_size(image: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return image and probability at SIDE_PX, or at THIN_SIDE_PX if the area of the mask would change too much."""
    share = np.count_nonzero(probability >= 0.5) / probability.size
    for side in (SIDE_PX, THIN_SIDE_PX):
        small = shrink(image, side)
        height, width = small.shape[:2]
        shrunk = cv2.resize(probability, (width, height), interpolation=cv2.INTER_AREA)
        if abs(np.count_nonzero(shrunk >= 0.5) / shrunk.size - share) <= GREATEST_LOSS * share:
            break
    return small, shrunk


def judge(small: np.ndarray, probability: np.ndarray, again: np.ndarray) -> dict[str, float]:
    """Return the parts for an image uint8 (H, W, 3), its probability and that of the other view, mirrored back."""
    mask = probability >= 0.5
    lab = cv2.GaussianBlur(to_lab(small), (0, 0), 0.8)
    codes = quantised(lab)
    # Relative to its surroundings a dark crack has one colour, even if the concrete is darker elsewhere.
    level = quantised(lab - cv2.blur(lab, (int(max(mask.shape) * NEARBY) | 1,) * 2))
    parts = {
        "agreement": agreement(lab, mask),
        "border": border(mask),
        "edges": edges(lab, mask),
        "colour": max(colour(codes, mask), colour(level, mask)),
        "ring": ring(codes, mask),
        "separation": separation(lab, mask),
        "stability": sameness(mask, again >= 0.5),
        "shape": shape(mask),
        "confidence": float(np.abs(2 * probability - 1).mean()),
        "area": area(mask),
        "figure": figure(mask_shape(mask)),
    }
    return {name: round(float(np.clip(value, 0, 1)), 4) for name, value in parts.items()}


def stands_out(small: np.ndarray, mask: np.ndarray, parts: dict[str, float]) -> bool:
    """Return whether the mask is an object, rather than noise, a gradient or part of an even texture."""
    lab = to_lab(small)
    step = float(np.linalg.norm(lab[mask].mean(0) - lab[~mask].mean(0)))
    if step < LEAST_STEP or parts["edges"] < LEAST_EDGES or parts["edges"] + parts["colour"] < LEAST_EVIDENCE:
        return False
    # Evenly spread and of one class of grey: grass, gravel. Cells may be everywhere, but differ from their background.
    blocks = cv2.resize(mask.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)
    return bool(blocks.std() > EVEN_SPREAD * blocks.mean() or parts["separation"] > ONE_CLASS)


def agreement(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean IoU of the mask with the two simple masks (`rivals`) that are most similar."""
    return float(np.mean(sorted(overlap(mask, rival) for rival in rivals(lab))[-2:]))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of two masks; 0 if both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def sameness(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of one mask that lies within 2 px of the other, the smaller of both; 0 if one is empty."""
    if not (a.any() and b.any()):
        return 0.0
    return float(min(_dilated(b, 2)[a].mean(), _dilated(a, 2)[b].mean()))


def border(mask: np.ndarray) -> float:
    """Return 1 for a mask away from the image border, 1/2 for one with the same share of the border as of the image,
    towards 0 for one along the border.
    """
    share = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    return float(0.5 ** (share / mask.mean()))


def edges(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return how well the image gradient separates the mask's outline from other pixels, as 2 AUC − 1.

    AUC is the area under the ROC curve. The result is 1 if the gradient is always stronger on the outline, 0 at chance.
    """
    gradient = cv2.dilate(_gradient(lab), np.ones((3, 3)))
    outline = mask & ~_eroded(mask, 1)
    elsewhere = gradient[~_dilated(outline, 2)]
    if not outline.any() or not elsewhere.size:
        return 0.0
    return float(2 * np.searchsorted(np.sort(elsewhere), gradient[outline]).mean() / elsewhere.size - 1)


def quantised(lab: np.ndarray) -> np.ndarray:
    """Return int (H, W), 0..511: each Lab colour as one of 8 x 8 x 8, each axis over the image's own range.

    A range is at least 8 Lab units, so that noise in an even image does not count as colour.
    """
    low, high = np.percentile(lab.reshape(-1, 3), [1, 99], axis=0)
    return np.clip((lab - low) / np.maximum(high - low, 8) * 8, 0, 7).astype(int) @ np.array([64, 8, 1])


def colour(codes: np.ndarray, mask: np.ndarray) -> float:
    """Return how well colour alone reproduces the mask: IoU with the pixels whose colour is mostly inside it."""
    inside = np.bincount(codes[mask], minlength=512)
    share = (inside / np.maximum(np.bincount(codes.ravel(), minlength=512), 1))[codes].astype(np.float32)
    return overlap(cv2.GaussianBlur(share, (0, 0), 1) >= 0.5, mask)


def ring(codes: np.ndarray, mask: np.ndarray) -> float:
    """Return the chi-square distance between the colour histograms of the mask and of a ring around it."""
    around = _dilated(mask, max(2, round(0.05 * max(mask.shape)))) & ~mask
    if not around.any():
        return 0.0
    a, b = (np.bincount(codes[each], minlength=512) / np.count_nonzero(each) for each in (mask, around))
    return float(((a - b) ** 2 / np.maximum(a + b, 1e-12)).sum() / 2)


def separation(lab: np.ndarray, mask: np.ndarray) -> float:
    """Return the share of variance that the mask explains along Fisher's discriminant axis of colour."""
    inside, outside = lab[mask], lab[~mask]
    pixels = lab.reshape(-1, 3)
    axis = np.linalg.solve(np.cov(pixels.T) + np.eye(3), inside.mean(0) - outside.mean(0))
    share = mask.mean()
    variance = float((pixels @ axis).var())
    between = float(((inside.mean(0) - outside.mean(0)) @ axis) ** 2)
    return share * (1 - share) * between / variance if variance > 1e-12 else 0.0


def shape(mask: np.ndarray) -> float:
    """Return the mean solidity of the mask's components, weighted by their area."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = hulls = 0.0
    for outline in outlines:
        # Contours run through pixel centres, so half a pixel is missing on all sides.
        filled += cv2.contourArea(outline) + len(outline) / 2 + 1
        hull = cv2.convexHull(outline)
        hulls += cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return min(1.0, filled / hulls)


def area(mask: np.ndarray) -> float:
    """Return 1 for a mask of a common size, less below 0.2 % and above 60 % of the image."""
    share = float(mask.mean())
    return min(share / 0.002, (1 - share) / 0.4, 1.0)


def _gradient(lab: np.ndarray) -> np.ndarray:
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    return np.sqrt((across**2 + down**2).max(axis=2))


def _eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0


def _dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1,) * 2, np.uint8)) > 0
