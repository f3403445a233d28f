"""Thin lines, darker or lighter than both sides: cracks, scratches, vessels, fibres, hairs.

A top-hat removes structures wider than a line, including steps of brightness. Ridges are detected by second derivatives
at several scales, and kept if they are strong or connected to strong ones, and long. Finally they are widened to half
the contrast of the line.

Sources: Lindeberg, "Edge detection and ridge detection with automatic scale selection", Int. J. Computer Vision 30(2),
1998, doi:10.1023/A:1008097225773 (strength of ridges, comparable over scales with gamma = 3/4); Meyer, "Contrast
feature extraction", Quantitative Analysis of Microstructures, 1977 (top-hat); Canny, "A computational approach to edge
detection", IEEE Trans. Pattern Analysis and Machine Intelligence 8(6), 1986, doi:10.1109/TPAMI.1986.4767851
(hysteresis).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import Field
from scipy.special import expit

from engine.core.parameters import number
from engine.labelling.base import LabelParams, Method
from engine.labelling.cues.channels import Channel, one_channel
from engine.labelling.cues.levels import local_mean

SCALES = 4
LEAST_NOISE = 0.2
"""Smallest estimate of noise in ridge strength, in grey levels: about that of rounding."""
WEAK_SHARE = 0.7
"""Pixels connected to a strong ridge count from this share of the required strength."""
REACH_PX = 2
"""The largest distance of a pixel of the line from its ridge."""
STEEPNESS = 8.0
"""Slope of the probability at half the contrast of a line; it is 0.98 at the centre and 0.02 beside the line."""


class LinesParams(LabelParams):
    # Larger than elsewhere, as thin structures vanish first.
    longest_side_px: int = number(800, 64, 1600, LabelParams.model_fields["longest_side_px"].description, unit="px")
    lines: Literal["stronger", "both", "darker", "lighter"] = Field(
        "stronger",
        description="Which lines: the darker ones, the lighter ones, the stronger of these two, or both.",
        json_schema_extra={"labels": {"stronger": "Whichever is stronger"}},
    )
    channel: Channel = Field(
        "grey", description="The channel in which lines are darker or lighter; green suits vessels of the retina."
    )
    greatest_width_px: float = number(
        9.0, 2, 40, "Width of the widest line; wider structures are background.", title="Maximum width", unit="px"
    )
    strength: float = number(
        12.0,
        2,
        50,
        "Required strength of a line, in multiples of the noise in the image: higher values give fewer lines.",
        title="Required strength",
    )
    least_length_px: float = number(
        20.0, 0, 400, "Shorter lines are removed: pores, specks, grain.", title="Minimum length", unit="px"
    )


def label(image: np.ndarray, params: LinesParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel lies on a line; 0 away from lines."""
    values = one_channel(image, params.channel)
    signs = {"darker": (-1,), "lighter": (1,)}.get(params.lines, (-1, 1))
    results = [_lighter_lines(values * sign, params) for sign in signs]
    if params.lines == "both":
        return np.maximum(results[0][1], results[1][1])
    return max(results, key=lambda result: result[0])[1]


def _lighter_lines(values: np.ndarray, params: LinesParams) -> tuple[float, np.ndarray]:
    """Return the total strength of the lighter lines of float32 (H, W), and the probability of each pixel."""
    strength = ridges(_narrow(values, params.greatest_width_px), params.greatest_width_px)
    usual = float(np.median(strength))
    spread = 1.4826 * float(np.median(np.abs(strength - usual)))
    level = usual + params.strength * max(spread, LEAST_NOISE)
    core = _long(_connected(strength, WEAK_SHARE * level, level), params.least_length_px)
    if not core.any():
        return 0.0, np.zeros(values.shape, np.float32)
    return float((strength[core] - WEAK_SHARE * level).sum()), _widened(values, core, params.greatest_width_px)


def _narrow(values: np.ndarray, width_px: float) -> np.ndarray:
    """Return structures lighter than their surroundings and at most about `width_px` wide, float32 (H, W)."""
    side = 2 * max(1, round(0.65 * width_px)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    # Replicate the border: a strip along the border is not a line, but a line that crosses the border is one.
    smooth = cv2.GaussianBlur(values, (0, 0), 1.0)
    wider = cv2.copyMakeBorder(smooth, side, side, side, side, cv2.BORDER_REPLICATE)
    return cv2.morphologyEx(wider, cv2.MORPH_TOPHAT, disc)[side:-side, side:-side]


def ridges(values: np.ndarray, width_px: float) -> np.ndarray:
    """Return the strength float32 (H, W), at least 0, of light ridges up to `width_px` wide: the maximum over scales.

    It is the curvature across the ridge minus that along it, so that spots, curved in both directions, have none.
    """
    best = np.zeros_like(values)
    across = np.array([[1, -2, 1]], np.float32)
    mixed = np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32) / 4
    for sigma in np.geomspace(1.0, max(1.0, width_px / 3), SCALES):
        smooth = cv2.GaussianBlur(values, (0, 0), sigma)
        xx, yy, xy = (
            cv2.filter2D(smooth, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
            for kernel in (across, across.T, mixed)
        )
        middle, swing = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
        strength = (swing - middle) - np.maximum(-(middle + swing), 0)
        np.maximum(best, strength * np.float32(sigma**1.5), out=best)
    return best


def _connected(strength: np.ndarray, weak: float, strong: float) -> np.ndarray:
    """Return bool (H, W): components above `weak` that contain a pixel above `strong`."""
    count, pieces = cv2.connectedComponents((strength > weak).astype(np.uint8), connectivity=8)
    keep = np.zeros(count, bool)
    keep[pieces[strength > strong]] = True
    keep[0] = False
    return keep[pieces]


def _long(mask: np.ndarray, least_px: float) -> np.ndarray:
    """Return the mask bool (H, W) without components whose bounding box has a diagonal below `least_px`."""
    _, pieces, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = np.hypot(boxes[:, cv2.CC_STAT_WIDTH], boxes[:, cv2.CC_STAT_HEIGHT]) >= least_px
    keep[0] = False
    return keep[pieces]


def _widened(values: np.ndarray, core: np.ndarray, width_px: float) -> np.ndarray:
    """Return the probability near the ridges `core`, from each pixel's value relative to background and line."""
    near = cv2.dilate(core.astype(np.uint8), np.ones((2 * REACH_PX + 1,) * 2, np.uint8)) > 0
    radius = 0.7 * width_px
    line, background = (
        local_mean(values * side, radius) / np.maximum(local_mean(side, radius), 1e-4)
        for side in (core.astype(np.float32), (~near).astype(np.float32))
    )
    # Without contrast to a background nearby, the ridge itself is used.
    contrast = line - background
    height = (values - background) / np.maximum(contrast, 1e-3) - 0.5
    probability = np.where(contrast > 1e-3, expit(STEEPNESS * np.clip(height, -2, 2)), core)
    return np.where(near, probability, 0).astype(np.float32)


METHOD = Method(
    "lines",
    "Lines (cracks, vessels, scratches)",
    LinesParams,
    label,
    summary="Thin lines on any background: cracks, scratches, blood vessels, fibres, hairs, roads from above.",
)
