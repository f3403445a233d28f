"""Masks that are more likely the whole picture or its frame than objects in it, told from several masks together.

Black corners of an endoscope or a vignette have clear edges and one colour, so the quality of a mask that follows them
is high; that it is the same in every image gives it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import cv2
import numpy as np

Doubt = Literal["same", "border"]
"""Masks are nearly the same region in every image, or cover nearly its border."""

GRID = 32
LEAST_MASKS = 3
SAME = 0.6
"""Agreement beyond chance of two images' masks (Cohen's kappa) from which these are nearly the same region: above it is
"substantial" (Landis & Koch, Biometrics 33(1), 1977, doi:10.2307/2529310)."""
NEARLY_ALL = 0.85
"""Share of the image border that only a background covers."""


@dataclass(frozen=True)
class MaskShape:
    """`area` and `border`: the mask's share of the image and of its border, in [0, 1]; `grid`: GRID x GRID bits, which
    thin objects leave empty.
    """

    area: float
    border: float
    grid: bytes


def mask_shape(mask: np.ndarray) -> MaskShape:
    """Return the shape of a mask, bool (H, W)."""
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    cells = cv2.resize(mask.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA) >= 0.5
    return MaskShape(float(mask.mean()), float(edge.mean()), np.packbits(cells).tobytes())


def doubt_of(shapes: Sequence[MaskShape]) -> Doubt | None:
    """Return why masks of different images are doubtful; None without a reason. Empty masks do not count."""
    drawn = [shape for shape in shapes if shape.area > 0]
    if len(drawn) < LEAST_MASKS:
        return None
    if _sameness(drawn) >= SAME:
        return "same"
    return "border" if float(np.median([shape.border for shape in drawn])) >= NEARLY_ALL else None


def _sameness(shapes: Sequence[MaskShape]) -> float:
    """Return the median of Cohen's kappa over pairs of masks: two that cover much overlap by chance."""
    grids = [np.unpackbits(np.frombuffer(shape.grid, np.uint8)) for shape in shapes]
    return float(np.median([_kappa(one, other) for one, other in combinations(grids, 2)]))


def _kappa(one: np.ndarray, other: np.ndarray) -> float:
    agree, a, b = float((one == other).mean()), float(one.mean()), float(other.mean())
    chance = a * b + (1 - a) * (1 - b)
    return (agree - chance) / (1 - chance) if chance < 1 else 0.0
