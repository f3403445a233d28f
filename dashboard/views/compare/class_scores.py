"""The scores of each class of several runs, by the name of the class, over the images that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dashboard.facts.class_results import ClassResults
from dashboard.views.compare.shared_images import SharedImages


@dataclass(frozen=True)
class ClassScores:
    """Dice and IoU against truth, float64 (classes, runs): of pixels summed over `images`, at threshold 0.5.

    NaN where a run does not have the class or any results of classes, and where the class occurs neither in truth nor
    in the masks. `held_out` is whether none of the images was a training image of any run.
    """

    names: tuple[str, ...]
    dice: np.ndarray
    iou: np.ndarray
    images: int
    held_out: bool


def class_scores(shared: SharedImages, read: Callable[[str], ClassResults | None]) -> ClassScores | None:
    """Return the scores of all classes of the runs that have results of classes, None if no run has any.

    They are over the images that each of these has results of: those held out from all runs, if there are any. A run
    that was compared with foreground alone has none. `read` returns the class results of a prediction set.
    """
    tables = [read(run.prediction_set_id) for run in shared.runs]
    several = {column: table for column, table in enumerate(tables) if table is not None and table.images}
    if not several:
        return None
    known = np.ones(len(shared.rows), bool)
    for column, table in several.items():
        ids = {image.image_id for image in table.images}
        known &= [shared.image_id(image, column) in ids for image in range(len(known))]
    held_out = bool((known & shared.held_out).any())
    kept = np.flatnonzero(known & shared.held_out if held_out else known)
    results = {
        column: {
            result.name: result
            for result in table.of_images({shared.image_id(image, column) for image in kept.tolist()}).confusion.results
        }
        for column, table in several.items()
    }
    names = tuple(dict.fromkeys(name for by_name in results.values() for name in by_name))
    dice, iou = (np.full((len(names), len(tables)), np.nan) for _ in range(2))
    for column, by_name in results.items():
        for row, name in enumerate(names):
            if name in by_name and by_name[name].dice is not None:
                dice[row, column], iou[row, column] = by_name[name].dice, by_name[name].iou
    return ClassScores(names, dice, iou, len(kept), held_out)
