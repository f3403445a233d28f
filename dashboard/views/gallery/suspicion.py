"""Which masks are probably wrong, estimated without truth, and how good that estimate is where truth exists.

Four signals from what is stored with a prediction; high is suspicious. They miss masks that are confidently wrong in
the same way as their pseudo-label, so `rank_trust` measures them against truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dashboard.facts.scores import ScoreTable
from dashboard.facts.trust import Trust, trust
from engine.imaging import metrics

Signal = Literal["disagreement", "uncertainty", "mirror", "area"]
Order = Literal["combined", "disagreement", "uncertainty", "mirror", "area"]
SIGNAL_TITLES: dict[Signal, str] = {
    "disagreement": "unlike its label",
    "uncertainty": "uncertain",
    "mirror": "unstable when flipped",
    "area": "unusual area",
}
FIRST = 48
"""Images on the first page of the gallery, which a user looks through."""


def present(table: ScoreTable) -> list[Signal]:
    """Return the signals that any image has; `area` always."""
    there: dict[Signal, bool] = {
        "disagreement": "label" in table.references,
        "uncertainty": table.has_uncertainty,
        "mirror": table.has_mirror,
        "area": True,
    }
    return [signal for signal, is_there in there.items() if is_there]


def signals(table: ScoreTable, threshold: float) -> dict[Signal, np.ndarray]:
    """Return the available signals, float (N,) each, NaN where an image lacks it.

    `disagreement` is 1 minus the agreement with the pseudo-label at a mask threshold in [0, 1], `uncertainty` the mean
    binary entropy, `mirror` 1 minus the agreement between the masks of the image and of the flipped image, and `area`
    the distance of the mask's area from the typical one of the run (see `area_outlier`).
    """
    values: dict[Signal, Callable[[], np.ndarray]] = {
        "disagreement": lambda: 1 - table.scores("label", threshold),
        "uncertainty": lambda: table.uncertainty,
        "mirror": lambda: 1 - table.flip_agreement,
        "area": lambda: np.abs(area_outlier(table, threshold)),
    }
    return {signal: values[signal]() for signal in present(table)}


def area_outlier(table: ScoreTable, threshold: float) -> np.ndarray:
    """Return how far the logarithm of each mask's share of its image is from the median, float64 (N,).

    In robust standard deviations; 0 if all are equal. An empty mask counts as half a pixel.

    Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC Quality Press, 1993, the modified z-score.
    """
    if not len(table):
        return np.empty(0)
    shares = np.log(np.maximum(table.area(threshold), 0.5 / table.pixels))
    apart = shares - np.median(shares)
    # Their constants for the median and, where more than half are equal, the mean of the absolute deviations
    spread = 1.4826 * np.median(np.abs(apart)) or 1.2533 * np.mean(np.abs(apart))
    return apart / spread if spread else np.zeros(len(table))


def suspicion(found: dict[Signal, np.ndarray]) -> np.ndarray:
    """Return the mean of an image's rank shares in its signals, float64 (N,) in (0, 1); 1 is suspicious.

    Ranks, because the signals have different scales; each has the same weight.
    """
    shares = [_rank_shares(values) for values in found.values()]
    count = np.sum([np.isfinite(share) for share in shares], axis=0)
    return np.divide(np.nansum(shares, axis=0), count, out=np.full(len(count), np.nan), where=count > 0)


def _rank_shares(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    shares = np.full(len(values), np.nan)
    shares[known] = (metrics.mean_ranks(values[known]) - 0.5) / max(known.sum(), 1)
    return shares


def strongest(found: dict[Signal, np.ndarray]) -> list[Signal | None]:
    """Return for each image the signal in which it ranks highest, None where it has none."""
    shares = np.stack([np.nan_to_num(_rank_shares(values), nan=-1.0) for values in found.values()])
    names = list(found)
    return [names[best] if shares[best, row] >= 0 else None for row, best in enumerate(shares.argmax(axis=0))]


@dataclass(frozen=True)
class RankTrust:
    """How well one order finds the masks with a low Dice vs truth.

    `found` failures are among the first `looked` images, where `expected` would be by chance.
    """

    signal: Order
    trust: Trust
    looked: int
    found: int
    expected: float


def rank_trust(table: ScoreTable, threshold: float, success_from: float) -> list[RankTrust]:
    """Return how the combined order and each signal compare to Dice vs truth; empty without truth."""
    dice = table.scores("truth", threshold)
    if not np.isfinite(dice).any():
        return []
    found = signals(table, threshold)
    orders: list[tuple[Order, np.ndarray]] = [("combined", suspicion(found)), *found.items()]
    return [_rank_trust(table, name, values, dice, success_from) for name, values in orders]


def _rank_trust(table: ScoreTable, name: Order, values: np.ndarray, dice: np.ndarray, success_from: float) -> RankTrust:
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(dice))
    failures = dice[rows] < success_from
    looked = min(FIRST, len(rows))
    first = np.argsort(-values[rows], kind="stable")[:looked]
    ids, names = ([column[row] for row in rows] for column in (table.image_ids, table.names))
    beside = trust(ids, names, values[rows].tolist(), dice[rows].tolist(), worst_is_highest=True)
    expected = looked * float(failures.mean()) if len(rows) else 0.0
    return RankTrust(name, beside, looked, int(failures[first].sum()), expected)
