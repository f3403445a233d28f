"""How reliable a score without truth is: its order compared with that of Dice vs truth, where there is truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.imaging import metrics

FEWEST_FOR_A_RANK = 5
"""Fewest images with truth for a meaningful rank correlation."""

VERDICTS = {
    "good": "the worst by this score are mostly the worst by truth",
    "hint": "only a hint; check images before you drop them",
    "none": "do not drop images by it on this dataset",
}


@dataclass(frozen=True)
class Trust:
    """A score and the Dice vs truth of each image that has both, and Spearman's rank correlation of the two.

    `spearman` is positive if images with a bad score have a low Dice, whichever end of the score is the bad one. None
    if too few images have both, or if one of the two is constant.
    """

    image_ids: tuple[str, ...]
    names: tuple[str, ...]
    score: tuple[float, ...]
    dice: tuple[float, ...]
    spearman: float | None

    @property
    def sentence(self) -> str:
        """The meaning of the correlation in plain words."""
        count = len(self.image_ids)
        if self.spearman is None:
            return f"Too few images have truth ({count}), or all have the same score: nothing can be said about it."
        return (
            f"On the {count:,} images with truth this score ranks masks like truth with Spearman "
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
    """Return how well a score orders images like Dice vs truth; item i of every sequence is the same image."""
    correlation = metrics.spearman(score, dice) if len(image_ids) >= FEWEST_FOR_A_RANK else None
    if correlation is not None and worst_is_highest:
        correlation = -correlation
    return Trust(tuple(image_ids), tuple(names), tuple(score), tuple(dice), correlation)


def strength(correlation: float) -> Literal["good", "hint", "none"]:
    """Return how useful a score with this rank correlation with Dice vs truth is."""
    if correlation >= 0.6:
        return "good"
    return "hint" if correlation >= 0.3 else "none"
