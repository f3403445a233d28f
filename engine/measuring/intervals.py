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

import numpy as np

from engine.imaging import class_maps
from engine.measuring.objects import ObjectParams, find_objects

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


def spread(levels: np.ndarray, likely: np.ndarray | None, params: ObjectParams) -> ImageIntervals:
    """Return the values at the threshold, between those half-way to probability 0 and half-way to 1.

    Args:
        levels: foreground probability, uint8 (H, W), 255 is 1.
        likely: the most likely class of each pixel, uint8 (H, W), if there are several.
    """
    found = []
    for threshold in (params.threshold, params.threshold / 2, (1 + params.threshold) / 2):
        objects = find_objects(class_maps.to_classes(levels, likely, threshold), params)
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
