"""Whether a score that needs no truth can be trusted: its order beside that of true Dice, where there is truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.imaging import metrics

FEWEST_FOR_A_RANK = 5
"""Below this many images with truth a rank correlation says nothing."""

VERDICTS = {
    "good": "the worst by this score are mostly the worst indeed",
    "hint": "a hint, not a verdict; look before you drop",
    "none": "do not drop by it on this dataset",
}


@dataclass(frozen=True)
class Trust:
    """A score beside Dice vs truth for each image that has both, and Spearman's rank correlation of the two.

    `spearman` is positive where the images that the score calls bad are those of low Dice, whichever end of the score
    is the bad one. None where too few images have both, or where one of the two is constant.
    """

    image_ids: tuple[str, ...]
    names: tuple[str, ...]
    score: tuple[float, ...]
    dice: tuple[float, ...]
    spearman: float | None

    @property
    def sentence(self) -> str:
        """What the correlation means, for a person who has never heard of it."""
        count = len(self.image_ids)
        if self.spearman is None:
            return f"Too few images have truth ({count}), or all score the same: nothing can be said about this score."
        return (
            f"On the {count:,} images with truth this score ranks masks as truth does with Spearman "
            f"{self.spearman:.2f} (1 = same order, 0 = no relation): {VERDICTS[strength(self.spearman)]}."
        )


def trust(
    image_ids: Sequence[str],
    names: Sequence[str],
    score: Sequence[float],
    dice: Sequence[float],
    *,
    worst_is_highest: bool = False,
) -> Trust:
    """Return how well a score orders images as Dice vs truth does; row i of everything is the same image."""
    known = len(image_ids) >= FEWEST_FOR_A_RANK
    good = -np.asarray(score) if worst_is_highest else score
    correlation = metrics.spearman(good, dice) if known else None
    return Trust(tuple(image_ids), tuple(names), tuple(score), tuple(dice), correlation)


def strength(correlation: float) -> Literal["good", "hint", "none"]:
    """Return what a rank correlation with true Dice is worth."""
    if correlation >= 0.6:
        return "good"
    return "hint" if correlation >= 0.3 else "none"
