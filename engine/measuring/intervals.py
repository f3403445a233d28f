"""Intervals of a count or a covered share: from the probabilities of the mask, calibrated where the truth is known.

Without truth an interval spans the values at a lower and a higher threshold, and how often it holds is unknown. With
images whose true value is known, intervals are widened or narrowed, on the scale of square roots, by what 90 % of these
images needed: conformalized quantile regression (Romano, Patterson and Candès, NeurIPS 2019). That holds for images
like these, of which the network learned none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.imaging import class_maps
from engine.measuring.objects import ObjectParams, Objects, find_objects

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.9
LEAST_IMAGES = 9
"""Of fewer, not even the worst says what 90 % need."""


@dataclass(frozen=True)
class Interval:
    """A value with the bounds between which the true one is expected."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ImageIntervals:
    """Of one image: the number of objects, and the share of its pixels that they cover."""

    count: Interval
    covered: Interval


def spread(
    levels: np.ndarray, likely: np.ndarray | None, params: ObjectParams, known: Objects | None = None
) -> ImageIntervals:
    """Return the values at the threshold, between those half-way to probability 0 and half-way to 1.

    Args:
        levels: foreground probability, uint8 (H, W), 255 is 1.
        likely: the most likely class of each pixel, uint8 (H, W), if there are several.
        known: the objects at the threshold, if they were found before.
    """
    found = []
    for threshold in (params.threshold, params.threshold / 2, (1 + params.threshold) / 2):
        objects = known if known and threshold == params.threshold else None
        objects = objects or find_objects(class_maps.to_classes(levels, likely, threshold), params)
        found.append((objects.count, float((objects.labels > 0).mean())))
    counts, shares = zip(*found, strict=True)
    return ImageIntervals(Interval(counts[0], min(counts), max(counts)), Interval(shares[0], min(shares), max(shares)))


def margin(intervals: Sequence[Interval], truths: Sequence[float]) -> float | None:
    """Return by how much the square roots of bounds must move outwards, so that 90 % of intervals hold; may be below 0.

    None of fewer than 9 images.
    """
    if len(truths) < LEAST_IMAGES:
        return None
    misses = sorted(
        max(math.sqrt(interval.low) - math.sqrt(truth), math.sqrt(truth) - math.sqrt(interval.high))
        for interval, truth in zip(intervals, truths, strict=True)
    )
    return misses[math.ceil((len(misses) + 1) * CONFIDENCE) - 1]


def moved(interval: Interval, by: float) -> Interval:
    """Return an interval whose bounds are moved outwards by a `margin`; its value stays inside."""
    low = max(0.0, math.sqrt(interval.low) - by) ** 2
    high = max(0.0, math.sqrt(interval.high) + by) ** 2
    return Interval(interval.value, min(low, interval.value), max(high, interval.value))


def with_intervals(images: pd.DataFrame) -> pd.DataFrame:
    """Return a table of images with the bounds of count and covered share, as in docs/how-to/measure-objects.md.

    Args:
        images: `count` and `covered_share`; as made, `count_at_least`, `count_at_most` and the same of the covered
            share; as known, or not a number, `known_count` and `known_covered_share`; `calibrates`: whether they say
            how wrong such masks are; `finished`: whether a person drew all of the mask. Without these columns the
            table is returned as it is.

    `calibrated_on` is the number of images that bounds are calibrated on, 0 where they only span thresholds.
    """
    if "calibrates" not in images:
        return images
    found = images.drop(columns=["calibrates", "finished"])
    usable = images["calibrates"].astype(bool)
    found["calibrated_on"] = int(usable.sum()) if usable.sum() >= LEAST_IMAGES else 0
    for name in ("count", "covered_share"):
        columns = zip(images[name], images[f"{name}_at_least"], images[f"{name}_at_most"], strict=True)
        made = [Interval(*row) for row in columns]
        by = margin([each for each, use in zip(made, usable, strict=True) if use], images.loc[usable, f"known_{name}"])
        bounds = np.array([(each.low, each.high) for each in (moved(interval, by or 0.0) for interval in made)])
        if name == "count" and not (images["count"] % 1).any():  # between whole numbers no count is lost
            bounds = np.stack([np.ceil(bounds[:, 0] - 1e-9) + 0.0, np.floor(bounds[:, 1] + 1e-9)], 1)
        bounds[images["finished"].astype(bool)] = images.loc[images["finished"].astype(bool), [name, name]]
        found[f"{name}_at_least"], found[f"{name}_at_most"] = bounds.T
    return found
