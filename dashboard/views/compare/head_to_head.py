"""Run A against run B, image by image: who wins where, by how much, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from dashboard.views.compare.shared_images import SharedImages

Order = Literal["B lost most", "B gained most", "Furthest apart"]
ORDERS: tuple[Order, ...] = get_args(Order)

TIE_BELOW = 0.0005
"""Scores that read the same with three decimals are a tie."""
LEAST_IMAGES = 8
"""With fewer images than this an interval would promise more than it knows."""
RESAMPLES = 1000


@dataclass(frozen=True)
class HeadToHead:
    """Row i of every array is one image. `differences` is what A scores less what B scores; of areas without a
    common reference, and then nobody wins. `interval` holds with 95 % confidence for the mean over images like these.
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
        keys = {"B lost most": -self.differences, "B gained most": self.differences}
        return self.images[np.argsort(keys.get(order, -np.abs(self.differences)), kind="stable")]


def head_to_head(shared: SharedImages, a: int, b: int, held_out_only: bool = False) -> HeadToHead:
    """Return how runs `a` and `b` (columns of `shared`) stand, over the images that both have scored.

    Args:
        held_out_only: leave out what either of the two has learned from.
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

    Images are drawn again with replacement, each with both its scores, so that hard images are hard for both.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall, 1993, chapter 13.
    """
    return _drawn_again(differences.astype(np.float64).tobytes(), seed)


# A page is drawn anew with every click, and 10,000 images take a tenth of a second.
@lru_cache(maxsize=64)
def _drawn_again(packed: bytes, seed: int) -> tuple[float, float]:
    differences = np.frombuffer(packed)
    rng, count = np.random.default_rng(seed), len(differences)
    # One draw at a time: all at once would be 10 million numbers for a large dataset.
    means = [differences[rng.integers(0, count, count, dtype=np.int32)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
