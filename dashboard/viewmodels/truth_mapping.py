"""Which grey values of truth masks belong to which class, as a table that a person can edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


class BadMapping(ValueError):
    """The table gives no mapping. The message is a sentence that names the row or the values."""


@dataclass(frozen=True)
class ValueRange:
    """One row of the table: the values `first` to `last` (both included) belong to the class `name`."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Mapping:
    """Classes as the database stores them, {"index", "name", "value"}, and the class index of each of 256 values."""

    classes: list[dict[str, Any]]
    lookup: list[int]


def ranges_of(names: Sequence[str], lookup: Sequence[int]) -> tuple[ValueRange, ...]:
    """Return the mapping as rows of unbroken ranges, by class and then by value; a class without values has no row."""
    if not lookup:
        return ()
    starts = [0, *(value for value in range(1, 256) if lookup[value] != lookup[value - 1])]
    ends = [*(start - 1 for start in starts[1:]), 255]
    found = sorted((lookup[start], start, end) for start, end in zip(starts, ends, strict=True))
    return tuple(ValueRange(names[index], start, end) for index, start, end in found)


def mapping_from(rows: Iterable[ValueRange], counts: Sequence[int]) -> Mapping:
    """Return the mapping that the rows mean: the first row's class is the background, rows of one name are one class.

    Args:
        counts: how many pixels have each of the 256 values; a class is known by the commonest of its values.

    Raises:
        BadMapping: a row is incomplete, two rows claim a value, a value has no class, or there is only one class.
    """
    lookup = np.full(256, -1)
    names: list[str] = []
    for number, row in enumerate(rows, start=1):
        _check(row, number)
        name = " ".join(row.name.split())
        taken = lookup[row.first : row.last + 1]
        if (taken >= 0).any():
            clash = row.first + int(np.argmax(taken >= 0))
            raise BadMapping(
                f"The value {clash} is claimed by {names[lookup[clash]]!r} and by {name!r}. Give it to one."
            )
        if name not in names:
            names.append(name)
        lookup[row.first : row.last + 1] = names.index(name)
    missing = np.flatnonzero(lookup < 0)
    if len(missing):
        raise BadMapping(f"The values {_spans(missing)} belong to no class. Give every value from 0 to 255 to one.")
    if len(names) < 2:
        raise BadMapping("Truth needs at least two classes: the background first, then what is looked for.")
    weights = np.asarray(counts, np.int64) + 1  # plus one, so that a class nobody has seen still has a value
    classes = [
        {"index": index, "name": name, "value": int(np.argmax(np.where(lookup == index, weights, 0)))}
        for index, name in enumerate(names)
    ]
    return Mapping(classes, lookup.tolist())


def _check(row: ValueRange, number: int) -> None:
    if not row.name.strip():
        raise BadMapping(f"Row {number} has no class name.")
    if len(row.name) > 60:
        raise BadMapping(f"The class name in row {number} has {len(row.name)} characters; at most 60 are allowed.")
    if not 0 <= row.first <= row.last <= 255:
        raise BadMapping(f"Row {number} must go upwards within 0 to 255. Got {row.first} to {row.last}.")


def _spans(values: np.ndarray) -> str:
    groups = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    texts = [f"{group[0]}–{group[-1]}" if len(group) > 1 else f"{group[0]}" for group in groups]
    return ", ".join(texts[:4]) + (" …" if len(texts) > 4 else "")
