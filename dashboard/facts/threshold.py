"""Whether another mask threshold than 0.5 is worth using: one rule and one sentence for all pages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.imaging import metrics

HALF = metrics.threshold_index(0.5)
FEWEST_IMAGES, LEAST_GAIN = 8, 0.005


@dataclass(frozen=True)
class BetterThreshold:
    """A mask threshold at which the mean Dice is `dice`, significantly more than at 0.5."""

    threshold: float
    dice: float


def better_threshold(curves: np.ndarray) -> BetterThreshold | None:
    """Return the threshold of the highest mean Dice, if it gains 0.005 and twice the standard error of the gain.

    Args:
        curves: Dice of each image at each of `engine.imaging.metrics.THRESHOLDS`, (N, 101), without NaN.
    """
    if len(curves) < FEWEST_IMAGES:
        return None
    means = curves.mean(axis=0, dtype=np.float64)
    best = int(np.argmax(means))
    gain = (curves[:, best] - curves[:, HALF]).astype(np.float64)
    if gain.mean() < LEAST_GAIN or gain.mean() <= 2 * gain.std(ddof=1) / np.sqrt(len(gain)):
        return None
    return BetterThreshold(float(metrics.THRESHOLDS[best]), float(means[best]))


def threshold_words(better: BetterThreshold | None, at_half: float, name: str) -> str:
    """Return the verdict as a sentence in Markdown; `at_half` is the mean score called `name` at threshold 0.5."""
    if better is None:
        return f"No other mask threshold gives a clearly better {name} than 0.50."
    return (
        f"Mask threshold **{better.threshold:.2f}** gives the validation images a mean {name} of "
        f"**{better.dice:.3f}** instead of {at_half:.3f}. It was chosen on these images: expect less on others."
    )
