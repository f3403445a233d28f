"""What the grey values of truth masks mean: a histogram over a whole set, and a proposal of classes.

The store keeps truth as it was imported, grey values in uint8. A dataset keeps a lookup of 256 class indices, so the
class map is `lookup[values]`, and another meaning for the values is a change of one row.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

INDEX_LIMIT = 64
"""Masks whose values all lie below this hold class indices (0/1, or 0 to 20), not grey values."""

VOID = 255
"""Beside class indices, this value marks what nobody labelled (Pascal VOC, Cityscapes)."""

FEW_VALUES = 8
MIN_DISTANCE = 8
"""Two classes are at least this many grey values apart."""

MIN_SHARE, MIN_SHARE_OF_NONZERO = 0.0005, 0.02
"""A peak holds at least these shares of all pixels; edges that a resize or JPEG made grey hold less per value."""

ISOLATION = 4.0
"""A peak stands out from the values around it at least so many times."""


class TruthClass(BaseModel):
    """One class: its index in class maps, a name to show, and the grey value where it peaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    index: int
    name: str
    value: int


class TruthClasses(BaseModel):
    """Classes by index (0 is background), and for each of the 256 grey values the index of its class."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    classes: tuple[TruthClass, ...]
    lookup: tuple[int, ...]

    @model_validator(mode="after")
    def _complete(self) -> TruthClasses:
        if [entry.index for entry in self.classes] != list(range(len(self.classes))) or not self.classes:
            raise ValueError("The classes must be numbered 0, 1, 2 … without gaps.")
        if len(self.lookup) != 256 or not set(self.lookup) <= set(range(len(self.classes))):
            raise ValueError(f"The lookup must give one of {len(self.classes)} classes for each of 256 values.")
        return self


def value_counts(values: np.ndarray) -> np.ndarray:
    """Return how many pixels of truth values, uint8 (H, W), have each value: int64 (256,). Sum them over a set."""
    return np.bincount(values.ravel(), minlength=256).astype(np.int64)


def class_map(values: np.ndarray, lookup: Sequence[int]) -> np.ndarray:
    """Return the class index, uint8 (H, W), of truth values, uint8 (H, W)."""
    return np.asarray(lookup, np.uint8)[values]


def propose_classes(counts: np.ndarray) -> TruthClasses:
    """Return the classes that a histogram (256,) over all truth masks of a set suggests.

    Value 0 is always background, whether it occurs or not. Small values throughout are class indices. Otherwise the
    classes are peaks of the histogram, and each value belongs to the nearest peak, so stray greys at edges find a
    class and make none.
    """
    counts = np.asarray(counts, np.int64)
    values = np.flatnonzero(counts)
    few_and_apart = len(values) <= FEW_VALUES and (np.diff(values) >= MIN_DISTANCE).all()
    if few_and_apart or _holds_indices(counts):
        return from_peaks(sorted({0, *values.tolist()}))
    return from_peaks(_peaks(counts))


def from_peaks(peaks: Sequence[int], names: Sequence[str] | None = None) -> TruthClasses:
    """Return classes at these grey values, ascending; every other value belongs to the nearest, ties upwards."""
    peaks = list(peaks)
    if peaks != sorted(set(peaks)) or not peaks or not 0 <= peaks[0] <= peaks[-1] <= 255:
        raise ValueError(f"The class values must ascend within 0 to 255. Got {peaks}.")
    borders = [(low + high) / 2 for low, high in itertools.pairwise(peaks)]
    lookup = np.searchsorted(borders, np.arange(256), side="right")
    names = names or _names(peaks)
    return TruthClasses(
        classes=tuple(
            TruthClass(index=index, name=name, value=value)
            for index, (name, value) in enumerate(zip(names, peaks, strict=True))
        ),
        lookup=tuple(lookup.tolist()),
    )


def _names(peaks: Sequence[int]) -> list[str]:
    if len(peaks) <= 2:
        return ["background", "foreground"][: len(peaks)]
    names = ["background", *(f"class {index}" for index in range(1, len(peaks)))]
    if peaks[-1] == VOID and peaks[-2] < INDEX_LIMIT:
        names[-1] = "void"
    return names


def _holds_indices(counts: np.ndarray) -> bool:
    """Return whether all values are small, but for 255 where it is rarer than what it could be the edge of."""
    if counts[INDEX_LIMIT:VOID].any():
        return False
    return not counts[VOID] or counts[1:INDEX_LIMIT].sum() * 2 >= counts[VOID]


def _peaks(counts: np.ndarray) -> list[int]:
    peaks = [0]
    least = max(MIN_SHARE * counts.sum(), MIN_SHARE_OF_NONZERO * counts[1:].sum())
    for value in np.argsort(-counts, kind="stable").tolist():
        if counts[value] < least:
            break
        if min(abs(value - peak) for peak in peaks) >= MIN_DISTANCE and _stands_out(counts, value):
            peaks.append(value)
    if len(peaks) == 1:  # a foreground too small to be a peak, or one without clear values
        highest = int(np.flatnonzero(counts)[-1])
        half = (highest + 1) // 2
        peaks.append(half + int(np.argmax(counts[half : highest + 1])))
    return sorted(peaks)


def _stands_out(counts: np.ndarray, value: int) -> bool:
    distance = np.abs(np.arange(256) - value)
    around = np.median(counts[(distance > 4) & (distance <= 12)])
    return bool(counts[distance <= 2].mean() >= ISOLATION * around)
