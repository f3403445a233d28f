"""How far a drawn mask can be trusted, told from the image alone: no truth is read.

Each part is a number in [0, 1], larger for better; the score is their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quality:
    """`score` in [0, 1]; `parts` by name, each in [0, 1]; `clear` is False where no foreground stands out."""

    score: float
    parts: dict[str, float]
    clear: bool


def assess(image: np.ndarray, probability: np.ndarray, redraw: Callable[[np.ndarray], np.ndarray]) -> Quality:
    """Return the quality of a foreground probability float32 (H, W) that a recipe drew on a uint8 RGB image (H, W, 3).

    `redraw(image)` draws another view of the image (mirrored, smaller) with the same recipe.
    """
    mask = probability >= 0.5
    mirrored = redraw(np.ascontiguousarray(image[:, ::-1]))[:, ::-1] >= 0.5
    union = np.count_nonzero(mask | mirrored)
    stability = np.count_nonzero(mask & mirrored) / union if union else 0.0
    return Quality(stability, {"stability": stability}, clear=bool(mask.any()))
