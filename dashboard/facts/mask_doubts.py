"""What to say of masks that look more like the whole picture or its frame than like objects, and of doubtful masks."""

from __future__ import annotations

from collections.abc import Iterable

from engine.labelling.mask_shapes import MaskShape, doubt_of
from engine.labelling.quality import GREATEST_AREA, LEAST_AREA

LEAST_IMAGES = 3
MOST, LEAST = 0.5, 0.001
"""Shares of the images outside which the mean of the masks of objects seldom is."""
WHAT_IS_WRONG = {
    "same": "These masks are nearly the same in every image: look before you trust them.",
    "border": "These masks cover nearly the whole border of each image: look before you trust them.",
}
ADVICE = (
    "If they are not what you mean, mark it with strokes, try another method, or leave out what is in every image (a "
    "frame, black corners, a time stamp) on the Datasets page."
)


def mask_doubt(shapes: Iterable[MaskShape | None]) -> str:
    """Return why masks of several images are doubtful and what to try next; empty if they are not."""
    known = [shape for shape in shapes if shape is not None]
    if not known:
        return ""
    doubt = doubt_of(known)
    area = sum(shape.area for shape in known) / len(known)
    wrong = WHAT_IS_WRONG[doubt] if doubt else cover_doubt(area, len(known), "train on them")
    return f"{wrong} {ADVICE}" if wrong else ""


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
