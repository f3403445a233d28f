"""Compare run A with run B image by image: wins, mean difference and its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from dashboard.views.compare.shared_images import SharedImages

Order = Literal["B worse first", "B better first", "Furthest apart"]
ORDERS: tuple[Order, ...] = get_args(Order)
RENAMED_ORDERS: dict[str, Order] = {"B lost most": "B worse first", "B gained most": "B better first"}
"""Orders under the names that URLs of older versions contain."""

TIE_BELOW = 0.0005
"""Scores that are equal to three decimals are a tie."""
LEAST_IMAGES = 8
"""With fewer images a bootstrap interval is too narrow."""
RESAMPLES = 1000


@dataclass(frozen=True)
class HeadToHead:
    """Row i of every array is one image. `differences` are the scores of A minus those of B.

    Without a common reference they are differences of area, and neither run wins. `interval` is the 95 % confidence
    interval of the mean difference.
    """

    images: np.ndarray
    differences: np.ndarray
    unscored: int
    wins_a: int
    wins_b: int
    ties: int
    mean: float | None
    interval: tuple[float, float] | None

    def ordered(self, order: Order) -> np.ndarray:
        """Return the images (int64, as `SharedImages` counts them) in order."""
        keys = {"B worse first": -self.differences, "B better first": self.differences}
        return self.images[np.argsort(keys.get(order, -np.abs(self.differences)), kind="stable")]


def head_to_head(shared: SharedImages, a: int, b: int, held_out_only: bool = False) -> HeadToHead:
    """Compare runs `a` and `b` (columns of `shared`) over the images that have a score in both.

    Args:
        held_out_only: leave out the training images of either run.
    """
    asked = shared.held_out_from((a, b)) if held_out_only else np.ones(len(shared.rows), bool)
    values = shared.scores if shared.reference else shared.areas
    differences = (values[:, a] - values[:, b]).astype(np.float64)
    known = asked & np.isfinite(differences)
    kept = differences[known]
    return HeadToHead(
        images=np.flatnonzero(known),
        differences=kept,
        unscored=int(asked.sum() - known.sum()),
        wins_a=int((kept >= TIE_BELOW).sum()),
        wins_b=int((kept <= -TIE_BELOW).sum()),
        ties=int((np.abs(kept) < TIE_BELOW).sum()),
        mean=float(kept.mean()) if len(kept) else None,
        interval=mean_interval(kept) if len(kept) >= LEAST_IMAGES else None,
    )


def mean_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap percentile interval of the mean of paired differences, float64 (N,).

    Images are resampled with replacement, each with both of its scores, so that hard images are hard for both.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall, 1993, chapter 13.
    """
    return _resampled_interval(differences.astype(np.float64).tobytes(), seed)


# The page reruns with every click, and 10,000 images take a tenth of a second.
@lru_cache(maxsize=64)
def _resampled_interval(packed: bytes, seed: int) -> tuple[float, float]:
    differences = np.frombuffer(packed)
    rng, count = np.random.default_rng(seed), len(differences)
    # One resample at a time: all at once would be 10 million numbers for a large dataset.
    means = [differences[rng.integers(0, count, count, dtype=np.int32)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
