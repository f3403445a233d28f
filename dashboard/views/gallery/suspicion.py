"""Which masks look wrong where no truth says so, and how well that was guessed where truth does.

Four signals, each from what is stored with a prediction; high is suspicious. None of them sees truth. They fail where
the network is wrong with confidence and its pseudo-label is wrong in the same way, so `rank_trust` measures them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dashboard.facts.scores import ScoreTable
from dashboard.facts.trust import Trust, trust
from engine.imaging import metrics

Signal = Literal["disagreement", "uncertainty", "mirror", "area"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
SIGNAL_TITLES: dict[Signal, str] = {
    "disagreement": "far from its label",
    "uncertainty": "unsure",
    "mirror": "mirror disagrees",
    "area": "unusual area",
}
FIRST = 48
"""How many images a person looks through: one page of the gallery."""


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
    """Return the signals that are present, float (N,) each, not a number where an image lacks it.

    `disagreement` is 1 minus the agreement with the pseudo-label at a mask threshold in [0, 1], `uncertainty` the mean
    binary entropy, `mirror` 1 minus the agreement between the masks of the image and of its mirror image, and `area`
    the distance of the mask's area from the run's usual one (see `area_outlier`).
    """
    values: dict[Signal, Callable[[], np.ndarray]] = {
        "disagreement": lambda: 1 - table.scores("label", threshold),
        "uncertainty": lambda: table.uncertainty,
        "mirror": lambda: 1 - table.flip_agreement,
        "area": lambda: np.abs(area_outlier(table, threshold)),
    }
    return {signal: values[signal]() for signal in present(table)}


def area_outlier(table: ScoreTable, threshold: float) -> np.ndarray:
    """Return how far the logarithm of each mask's share of its image lies from the median of all, float64 (N,).

    In robust standard deviations; 0 where all are alike. An empty mask counts as half a pixel.

    Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC Quality Press, 1993, the modified z-score.
    """
    if not len(table):
        return np.empty(0)
    shares = np.log(np.maximum(table.area(threshold), 0.5 / table.pixels))
    apart = shares - np.median(shares)
    # Their constants for the median and, where more than half are alike, the mean of the absolute deviations
    spread = 1.4826 * np.median(np.abs(apart)) or 1.2533 * np.mean(np.abs(apart))
    return apart / spread if spread else np.zeros(len(table))


def suspicion(found: dict[Signal, np.ndarray]) -> np.ndarray:
    """Return the mean of an image's rank shares in the signals that it has, float64 (N,) in (0, 1); 1 is suspicious.

    Ranks, because the signals have different scales; each counts the same.
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
    """How well one order found what truth calls bad.

    `found` failures are among the `looked` images that come first by it, where `expected` would be by chance.
    """

    signal: Signal | Literal["combined"]
    trust: Trust
    looked: int
    found: int
    expected: float


def rank_trust(table: ScoreTable, threshold: float, success_from: float) -> list[RankTrust]:
    """Return for the combined order and for each signal how it fares against Dice vs truth; none without truth."""
    dice = table.scores("truth", threshold)
    if not np.isfinite(dice).any():
        return []
    found = signals(table, threshold)
    orders = {"combined": suspicion(found), **found}
    return [_fares(table, name, values, dice, success_from) for name, values in orders.items()]


def _fares(table: ScoreTable, name: str, values: np.ndarray, dice: np.ndarray, success_from: float) -> RankTrust:
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(dice))
    failures = dice[rows] < success_from
    looked = min(FIRST, len(rows))
    first = np.argsort(-values[rows], kind="stable")[:looked]
    ids, names = ([column[row] for row in rows] for column in (table.image_ids, table.names))
    beside = trust(ids, names, values[rows].tolist(), dice[rows].tolist(), worst_is_highest=True)
    expected = looked * float(failures.mean()) if len(rows) else 0.0
    return RankTrust(name, beside, looked, int(failures[first].sum()), expected)
