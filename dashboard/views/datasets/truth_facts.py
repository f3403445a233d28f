"""The classes of the grey values of truth masks, as a table that the user edits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.datasets import truth
from engine.imaging.class_colours import checked_colour
from engine.imaging.class_maps import IGNORE, check_count


class BadMapping(ValueError):
    """The table is invalid. The message names the row or the values."""


@dataclass(frozen=True)
class ClassStart:
    """One row of the table: the values from `first` on, up to where another row starts, belong to the class `name`.

    `colour` is "#RRGGBB", or "" for the palette's.
    """

    name: str
    first: int
    colour: str = ""


@dataclass(frozen=True)
class Mapping:
    """Classes as the database stores them (`engine.datasets.truth.TruthClass`), and the class of each of 256 values."""

    classes: list[dict[str, Any]]
    lookup: list[int]


def starts_of(names: Sequence[str], lookup: Sequence[int], colours: Sequence[str] = ()) -> tuple[ClassStart, ...]:
    """Return the mapping as rows, sorted by class and value; a class without values has no row."""
    firsts = [value for value in range(len(lookup)) if value == 0 or lookup[value] != lookup[value - 1]]
    return tuple(
        ClassStart("ignore", first)
        if index == IGNORE
        else ClassStart(names[index], first, colours[index] if index < len(colours) else "")
        for index, first in sorted((lookup[first], first) for first in firsts)
    )


def mapping_from(rows: Iterable[ClassStart], counts: Sequence[int]) -> Mapping:
    """Return the rows as a mapping: the first row's class is the background, rows with the same name are one class.

    Rows called "ignore" or "void" are left out of training and scores. They and the background have no colour.

    Args:
        counts: number of pixels of each of the 256 values; the value of a class is its most frequent one.

    Raises:
        BadMapping: a row is incomplete, two rows start at one value, none starts at 0, there is only one class or there
            are too many, or a colour is invalid or differs from that of another row of its class.
    """
    names: list[str] = []
    starts: dict[int, int] = {}
    colours: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        _check(row, number)
        name = " ".join(row.name.split())
        if row.first in starts:
            other = starts[row.first]
            known = "ignore" if other == IGNORE else names[other]
            raise BadMapping(f"Both {known!r} and {name!r} start at {row.first}. Change one of them.")
        if name.lower() in truth.IGNORE_NAMES:
            starts[row.first] = IGNORE
            continue
        if name not in names:
            names.append(name)
        starts[row.first] = names.index(name)
        if row.colour.strip() and name != names[0]:
            colour = _colour(row.colour, name)
            if colours.setdefault(name, colour) != colour:
                raise BadMapping(f"The rows of {name!r} have the colours {colours[name]} and {colour}. Give them one.")
    if 0 not in starts:
        raise BadMapping(f"One class must start at 0. Got {', '.join(map(str, sorted(starts))) or 'no class'}.")
    if len(names) < 2:
        raise BadMapping("Truth needs at least two classes: the background first, then at least one object class.")
    try:
        check_count(len(names) - 1)
    except ValueError as error:
        raise BadMapping(str(error)) from None
    firsts = np.array(sorted(starts))
    lookup = np.array([starts[first] for first in firsts])[np.searchsorted(firsts, np.arange(256), side="right") - 1]
    weights = np.asarray(counts, np.int64) + 1  # plus one, so that a class without pixels still has a value
    classes = [
        {"index": index, "name": name, "value": int(np.argmax(np.where(lookup == index, weights, 0)))}
        | ({"colour": colours[name]} if name in colours else {})
        for index, name in enumerate(names)
    ]
    return Mapping(classes, lookup.tolist())


def exchanged(mapping: Mapping) -> Mapping:
    """Return a mapping of two classes with background and foreground exchanged; their names stay."""
    background, foreground = mapping.classes
    classes = [background | {"value": foreground["value"]}, foreground | {"value": background["value"]}]
    return Mapping(classes, [{0: 1, 1: 0}.get(index, index) for index in mapping.lookup])


def _colour(text: str, name: str) -> str:
    try:
        return checked_colour(text, name)
    except ValueError as error:
        raise BadMapping(str(error)) from None


def _check(row: ClassStart, number: int) -> None:
    if not row.name.strip():
        raise BadMapping(f"Row {number} has no class name.")
    if len(row.name) > 60:
        raise BadMapping(f"The class name in row {number} has {len(row.name)} characters; at most 60 are allowed.")
    if not 0 <= row.first <= 255:
        raise BadMapping(f"Row {number} must start at a value from 0 to 255. Got {row.first}.")
