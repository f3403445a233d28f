"""What to say of the masks of several images: whether to trust them, how much they cover, which are doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.labelling.quality import GREATEST_AREA, LEAST_AREA, Quality
from engine.labelling.verdict import standing, verdict

LEAST_IMAGES = 3
MOST, LEAST = 0.5, 0.001
"""Shares of the images outside which the mean of the masks of objects seldom is."""

TITLES = {
    "trust": "You can trust most of these masks.",
    "look": "Look at the masks before you train on them.",
    "unclear": "I cannot tell what you mean.",
}


def mask_verdict(
    qualities: Sequence[Quality | None], state: dict[str, Any] | None, *, taught: bool = False
) -> dict[str, Any] | None:
    """Return the verdict on a recipe as `Verdict.to_json`; None while it is not known.

    Args:
        qualities: of the masks of the test images; None for those that are not judged yet.
        state: what the method learned. A method that chose a recipe has reached a verdict on more images.
        taught: a person has shown what is meant.
    """
    if state and "verdict" in state:
        reached: dict[str, Any] | None = None if "untried" in state else state["verdict"]
        return reached
    known = [quality for quality in qualities if quality is not None]
    if not known or len(known) < len(qualities):
        return None
    return verdict(standing(known), taught=taught).to_json()


def estimated_score(qualities: Sequence[Quality], state: dict[str, Any] | None) -> float:
    """Return the estimated score of a recipe in [0, 1] from the qualities of its masks of the test images.

    What a method that chose a recipe doubts, it doubts of all images.
    """
    masks = standing(qualities)
    kept: float = state["verdict"]["kept"] if state and "verdict" in state else masks.kept**2
    return masks.score * kept


def verdict_words(reached: dict[str, Any]) -> str:
    """Return a verdict in words: what to do, and the reason."""
    return f"**{TITLES[reached['verdict']]}** {reached['reason']}"


def cover_doubt(area: float, images: int, before: str) -> str:
    """Return that masks cover most of their images or nearly nothing; empty if they do not, or are fewer than three.

    Args:
        area: the share of an image that its mask covers, in [0, 1], as the mean over `images`.
        before: what to check them before, such as "use them".
    """
    if images < LEAST_IMAGES or LEAST <= area <= MOST:
        return ""
    share = f"{area:.0%}" if area > MOST else f"less than {LEAST:.1%}"
    return f"The masks cover {share} of the image on average. Check them before you {before}."


def doubtful_mask(area: float) -> str:
    """Return what is wrong with a doubtful mask that covers a share `area` of its image, in [0, 1]."""
    return "empty mask" if area < LEAST_AREA else "full mask" if area > GREATEST_AREA else "doubtful mask"
