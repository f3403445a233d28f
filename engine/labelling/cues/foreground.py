"""The choice of foreground among the regions of a clustering or segmentation."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from engine.labelling.base import LabelParams

Rule = Literal["border_contact", "minority", "darker", "lighter"]


class RegionParams(LabelParams):
    """Parameters of every method that divides the image into regions: the rule that selects the foreground."""

    foreground: Rule = Field(
        "border_contact",
        description=(
            "Which regions are foreground: those with the least contact to the image border for their size, "
            "all except the largest, the darker ones or the lighter ones."
        ),
    )


def choose(regions: np.ndarray, lightness: np.ndarray, rule: Rule) -> np.ndarray:
    """Return bool (K,): which of the regions 0..K-1 (int (H, W)) are foreground. Never all; none if K is 1.

    Regions are ordered by the rule and divided where both sides differ most: for `darker` and `lighter` by
    Otsu's between-class variance of `lightness` (H, W), for `border_contact` by boundary connectivity.
    """
    areas = np.bincount(regions.ravel()).astype(np.float64)
    chosen = np.zeros(len(areas), bool)
    present = np.flatnonzero(areas)
    if len(present) < 2:
        return chosen
    if rule == "minority":
        chosen[present] = True
        chosen[areas.argmax()] = False
        return chosen
    area = areas[present] / areas.sum()
    if rule == "border_contact":
        border = border_lengths(regions)[present]
        border = border / border.sum()
        order = np.argsort(border / area, kind="stable")
        gain = _connectivity_gap(area[order], border[order])
    else:
        mean = np.bincount(regions.ravel(), lightness.ravel())[present] / areas[present]
        order = np.argsort(mean if rule == "darker" else -mean, kind="stable")
        gain = _between_class_variance(area[order], mean[order])
    chosen[present[order[: int(gain.argmax()) + 1]]] = True
    return chosen


def border_lengths(regions: np.ndarray) -> np.ndarray:
    """Return float (K,): the number of pixel sides of each region 0..K-1 on the image border."""
    sides = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return np.bincount(sides, minlength=int(regions.max()) + 1).astype(np.float64)


def _connectivity_gap(area: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Return, for each cut of the ordered shares, boundary connectivity after the cut minus that before it.

    Boundary connectivity is border length over the root of area: large for background, small for objects
    (Zhu et al., CVPR 2014, doi:10.1109/CVPR.2014.360).
    """
    area, border = np.cumsum(area)[:-1], np.cumsum(border)[:-1]
    return (1 - border) / np.sqrt(1 - area) - border / np.sqrt(area)


def _between_class_variance(area: np.ndarray, mean: np.ndarray) -> np.ndarray:
    below, total = np.cumsum(area)[:-1], np.cumsum(area * mean)
    return (total[-1] * below - total[:-1]) ** 2 / (below * (1 - below))
