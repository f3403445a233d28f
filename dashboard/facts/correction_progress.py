"""Whether what is learned from corrections still gets better: how well each mask agreed with its correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.facts.wording import count, escaped
from db.models import Correction, Image, LabelSet, Run

WINDOW = 10
BETTER = 0.01
"""A smaller gain of the mean Dice of ten images is chance."""


@dataclass(frozen=True)
class Agreement:
    """A finished image: the Dice at threshold 0.5 of the mask that was shown against its correction, and whose mask."""

    image: str
    dice: float
    mask_of: str


def agreements(session: Session, dataset_id: str) -> list[Agreement]:
    """Return the finished images of a dataset in the order in which they were corrected.

    Strokes alone are left out: they mark errors, so that masks always look worse against them. So are the images of
    the audit, which have scores of their own, and excluded images.
    """
    newest = (Image.id == Correction.image_id) & (Image.correction_revision == Correction.revision)
    whole = Correction.finished.is_(True), Correction.mask_dice.is_not(None)
    wanted = Image.in_audit.is_(False), Image.excluded.is_(False)
    query = (
        select(Image.name, Correction.mask_dice, Run.name, LabelSet.name)
        .join(Image, newest)
        .outerjoin(Run, Run.id == Correction.mask_of)
        .outerjoin(LabelSet, LabelSet.id == Correction.mask_of)
        .where(Correction.dataset_id == dataset_id, *whole, *wanted)
        .order_by(Correction.at, Correction.id)
    )
    return [
        Agreement(name, dice or 0.0, run or label_set or "masks that were deleted")
        for name, dice, run, label_set in session.execute(query)
    ]


def running_mean(values: Sequence[float]) -> list[float]:
    """Return the mean of the last ten values at each of them."""
    return [float(np.mean(values[max(0, at - WINDOW + 1) : at + 1])) for at in range(len(values))]


def verdict(found: Sequence[Agreement]) -> str:
    """Return a sentence on how masks agreed with corrections lately, and before."""
    if not found:
        return (
            "No image is finished yet. Correct some masks and press *Finished*: each then says how well its mask "
            "agreed with the correction."
        )
    dice = [each.dice for each in found]
    if len(found) < 2 * WINDOW:
        return (
            f"The masks of {count(len(found), 'finished image')} agreed with the corrections to {np.mean(dice):.2f} "
            f"(Dice). From {2 * WINDOW} images on, this says whether they get better."
        )
    last, earlier = np.mean(dice[-WINDOW:]), np.mean(dice[-2 * WINDOW : -WINDOW])
    words = (
        f"The last {WINDOW} masks agreed with the corrections to {last:.2f} (Dice), the {WINDOW} before to "
        f"{earlier:.2f}"
    )
    sources = {each.mask_of for each in found[-2 * WINDOW :]}
    if len(sources) == 1:
        source = escaped(sources.pop())
        return f"{words}. All of them are of **{source}**: train with the corrections to see whether it learns."
    return f"{words}: {'it still learns' if last - earlier > BETTER else 'it no longer gets better'}."
