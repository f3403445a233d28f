"""Which image to correct next, and where: what is in doubt, mixed with what is unlike anything corrected so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

WORKING_PX = 256
STROKE_SHARE = 0.03
"""Doubt is averaged over a spot of this share of the image, about what a stroke covers: one odd pixel is nothing."""

OUTLINE_PX = 2.0

UNLIKE = "unlike anything corrected so far"


@dataclass(frozen=True)
class Candidate:
    """An image that is not finished: `doubt` from 0 with its `reason`, and its greatest spot, (x, y) in pixels."""

    image_id: str
    appearance: np.ndarray
    doubt: float
    reason: str
    place: tuple[int, int]


@dataclass(frozen=True)
class Suggestion:
    """An image to correct, why, and where to begin: (x, y) in pixels of the image. `doubt` is its candidate's."""

    image_id: str
    reason: str
    place: tuple[int, int]
    doubt: float


def appearance(image: np.ndarray) -> np.ndarray:
    """Return what an image, uint8 RGB (H, W, 3), looks like, float32 (D,): colours on a coarse grid, and texture."""
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    grid = cv2.resize(lab, (4, 4), interpolation=cv2.INTER_AREA)
    texture = [np.abs(cv2.Laplacian(cv2.GaussianBlur(lab[..., 0], (0, 0), sigma), cv2.CV_32F)) for sigma in (1, 2, 4)]
    spread = [lab.std(axis=(0, 1)), np.array([each.mean() for each in texture])]
    return np.concatenate([grid.ravel(), *spread]).astype(np.float32)


def ambiguity(levels: np.ndarray) -> np.ndarray:
    """Return how far a soft mask, uint8 (H, W), is from a decision at each pixel of a small copy: float32, 0 to 1.

    It is smoothed a little, so that of a mask without doubts the outline is what is in doubt.
    """
    return 1 - np.abs(2 * cv2.GaussianBlur(_small(levels), (0, 0), OUTLINE_PX) - 1)


def disagreement(levels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how two soft masks of one image, uint8 (H, W), differ at each pixel of a small copy: float32, 0 to 1."""
    first = _small(levels)
    return np.abs(first - cv2.resize(_small(others), first.shape[::-1], interpolation=cv2.INTER_AREA))


def doubtful_spot(doubt: np.ndarray, shape: tuple[int, int]) -> tuple[float, tuple[int, int]]:
    """Return the mean of a map of doubt, float32 (h, w), and its greatest spot, (x, y) in an image of `shape`."""
    spots = cv2.GaussianBlur(doubt, (0, 0), max(STROKE_SHARE * max(doubt.shape), 0.5))
    row, column = np.unravel_index(int(spots.argmax()), spots.shape)
    x, y = ((index + 0.5) / size for index, size in zip((column, row), doubt.shape[::-1], strict=True))
    return float(doubt.mean()), (int(x * shape[1]), int(y * shape[0]))


def suggestions(
    candidates: Sequence[Candidate], corrected: Sequence[np.ndarray], most: int | None = None
) -> list[Suggestion]:
    """Return the candidates in the order in which they should be corrected, or the first `most` of them.

    One after the other, the image with the greatest sum of two ranks is taken: of its doubt, and of its distance from
    what was corrected or taken before it, in appearance.

    Args:
        corrected: the appearances of the images that have a correction.
    """
    if not candidates:
        return []
    from scipy.spatial.distance import cdist  # late: the web process imports this module at its start

    looks = np.stack([each.appearance for each in candidates])
    known = np.stack([*corrected, *looks])
    scale = known.std(0) + 1e-6
    looks = looks / scale
    doubt = _ranks(np.array([each.doubt for each in candidates]))
    distance = np.zeros(len(looks))
    if len(corrected):
        distance = cdist(looks, np.stack(corrected) / scale).min(1)
    left, first = np.arange(len(looks)), not len(corrected)
    found: list[Suggestion] = []
    while len(left) and len(found) != most:
        apart = _ranks(distance[left]) if not first else np.zeros(len(left))
        best = int(np.argmax(doubt[left] + apart))
        index = int(left[best])
        chosen = candidates[index]
        reason = UNLIKE if apart[best] > doubt[index] else chosen.reason
        found.append(Suggestion(chosen.image_id, reason, chosen.place, chosen.doubt))
        left = np.delete(left, best)
        to_chosen = np.linalg.norm(looks - looks[index], axis=1)
        distance, first = to_chosen if first else np.minimum(distance, to_chosen), False
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, from 0 to 1; equal values have the lowest of theirs."""
    return np.searchsorted(np.sort(values), values) / max(len(values) - 1, 1)


def _small(levels: np.ndarray) -> np.ndarray:
    height, width = levels.shape
    factor = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(levels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
