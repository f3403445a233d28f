"""Which class of the truth each value of some masks stands for: by number, or in the truth's own coding."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.datasets import truth
from engine.datasets.mask_values import MaskValues, meanings
from engine.datasets.truth import TruthClass, TruthClasses
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import INDEX_LIMIT, TruthFile
from engine.imaging.class_maps import IGNORE

MOST_STRAYS = 0.05
"""So many of the pixels beside background may have a value between the truth's: JPEG and smooth edges leave some."""

_SHOWN = 8


class NoClasses(ValueError):
    """The values of the masks are no classes of the truth. The sentence names both."""


@dataclass(frozen=True)
class MaskClasses:
    """The classes of truth and masks, the truth's lookup for them, and in words how the masks are read.

    `codes` encodes masks of the truth's own coding where that has ids or colours (`coded`), and masks that hold other
    than numbers up to 255; None for class numbers. `lookup`, int (256,), has the class index of each code or number.
    """

    classes: Sequence[TruthClass]
    truth_lookup: Sequence[int]
    codes: TruthCodes | None
    lookup: np.ndarray
    read_as: str
    coded: bool = False

    def class_map(self, file: TruthFile) -> np.ndarray:
        """Return the class map, uint8 (H, W), of one of the masks; what it leaves undecided is background."""
        numbers = _numbers(file)
        if self.codes is not None and (numbers is None or self.coded):
            numbers = self.codes.encode(file)
        classes = self.lookup[numbers]
        return np.where(classes == IGNORE, 0, classes).astype(np.uint8)


def mask_classes(files: Iterable[TruthFile], masks: MaskValues, side: MaskValues) -> MaskClasses | None:
    """Return how masks are read beside truth with several classes (see `MasksSeen`). Each file is needed once.

    Args:
        masks: what the values of the masks mean without the truth.
        side: what the values of the truth mean.
    """
    seen = MasksSeen(side)
    for file in files:
        seen.add(file)
    return seen.classes(masks)


def _by_value(seen: MasksSeen, both: TruthClasses, more: Sequence[str] = ()) -> MaskClasses:
    keys = dict(seen.codes.table)
    read_as = meanings({keys.get(entry.value, entry.value): entry.name for entry in both.classes})
    added = f" (no truth has {_listed(more)})" if more else ""
    lookup = np.array(both.lookup)
    lookup[list(seen.ignored)] = IGNORE
    if not seen.side.counts[0]:
        lookup[0] = 0
    read_as = f"values of truth: {read_as}{added}"
    return MaskClasses(both.classes, both.lookup, seen.codes, lookup, read_as, bool(seen.side.codes.table))


class MasksSeen:
    """What occurs in masks, numbers and codes of the truth's coding, and which classes of the truth this stands for."""

    def __init__(self, side: MaskValues) -> None:
        self.side = side
        self.codes = TruthCodes(side.codes.table, np.flatnonzero(side.counts).tolist())
        self._numbers: set[int] | None = set()
        self._counts = np.zeros((2, 256), np.int64)  # of levels, and of ids and colours
        self._classes = {entry.value for entry in side.classes}
        self._colours = {code for code, key in side.codes.table if isinstance(key, str)}

    def add(self, file: TruthFile) -> None:
        numbers = _numbers(file)
        if numbers is None:
            self._numbers = None
        elif self._numbers is not None:
            self._numbers |= set(np.flatnonzero(np.bincount(numbers.ravel(), minlength=256)).tolist())
        codes = self.codes.encode(file) if numbers is None or self.side.codes.table else numbers
        self._counts[0 if file.keys is None else 1] += np.bincount(codes.ravel(), minlength=256)

    def classes(self, masks: MaskValues) -> MaskClasses | None:
        """Return how the masks are read; None where there is one class only, or no truth.

        They hold class numbers if they have no other values than 0 … K, or entries of a palette with these numbers;
        else the values, ids or colours of the truth. A class that only masks have is added if both hold numbers or
        colours.

        Args:
            masks: what their values mean without the truth.

        Raises:
            NoClasses: the values are neither of these.
        """
        side = self.side
        if not side.classes:
            return None
        known = TruthClasses(classes=side.classes, lookup=side.lookup)
        several = len(side.classes) > 2
        if several and self.are_class_numbers():
            read_as = meanings({entry.index: entry.name for entry in side.classes})
            return MaskClasses(side.classes, side.lookup, None, np.arange(256), f"class numbers: {read_as}")
        if several and self.are_values():
            return _by_value(self, known)
        if several and (colours := self.further_colours()):
            return _by_value(self, truth.with_names(known, colours), list(colours))
        if len(masks.classes) > 2 and (further := self.further_numbers()):
            names = {entry.value: entry.name for entry in side.classes}
            for value in further:
                names[value] = _new_name(value, names.values())
            values = sorted(names)
            both = truth.from_peaks(values, [names[value] for value in values])
            lookup = np.where(np.asarray(side.lookup) == IGNORE, IGNORE, both.lookup).tolist()
            return _by_value(self, TruthClasses(classes=both.classes, lookup=lookup), [str(value) for value in further])
        if several:
            raise NoClasses(self.refusal())
        return None

    @property
    def _found(self) -> set[int]:
        return set(np.flatnonzero(self._counts.sum(axis=0)).tolist())

    @property
    def ignored(self) -> set[int]:
        """The codes of what nobody decided about, in the truth or beside class numbers, ids and colours."""
        undecided = (np.asarray(self.side.lookup) == IGNORE) & (self.side.counts > 0)
        numbered = max(self._classes) < INDEX_LIMIT or self.side.codes.table
        void = {IGNORE} if numbered and not self.side.counts[IGNORE] else set()
        return void | set(np.flatnonzero(undecided).tolist())

    @property
    def _share_colours(self) -> bool:
        return bool(self._counts[1, list(self._colours)].any())

    def are_class_numbers(self) -> bool:
        if self._numbers is None or self._share_colours or not self._numbers <= set(range(len(self.side.classes))):
            return False
        return 0 in self._numbers or 0 in self._classes  # 1, 2, 3 … of a truth without 0 are its values

    def are_values(self) -> bool:
        """Return whether the masks have the truth's values, up to a few that stray between these as in the truth."""
        found, known = self._found, {0} | self._classes | self.ignored
        if self._counts[0, list(self._colours)].any() or not found & self._classes:  # a grey level is no colour
            return False
        if found <= {0} | self.ignored:
            return found == {0}
        if found <= known:
            return True
        counts = self._counts.sum(axis=0)
        graded = not self.codes.table and max(found) >= INDEX_LIMIT and max(self._classes) >= INDEX_LIMIT
        return graded and _strays(counts, known) <= max(MOST_STRAYS, 1.5 * _strays(self.side.counts, known))

    def further_colours(self) -> dict[str, int]:
        """Return {colour: code} of those that only masks have, if the truth has some of the others."""
        if not self._share_colours or self._counts[0, 1:].any():
            return {}
        return {str(key): code for code, key in self.codes.table if code in self._found and not self.side.counts[code]}

    def further_numbers(self) -> list[int]:
        """Return the class numbers that only masks have, if the truth holds class numbers, too."""
        numbers = (self._numbers or set()) - {IGNORE}
        occurring = set(np.flatnonzero(self.side.counts).tolist())
        own = occurring <= self._classes | self.ignored and 0 in self._classes and not self.codes.table
        if not own or max(numbers | self._classes) >= INDEX_LIMIT:
            return []
        return sorted(numbers - self._classes)

    def refusal(self) -> str:
        keys = dict(self.codes.table)
        found = _listed([keys.get(code, code) for code in sorted(self._found)])
        wanted = _listed([keys.get(value, value) for value in sorted(self._classes)])
        return (
            f"The masks have the values {found}, which are neither class numbers from 0 to "
            f"{len(self.side.classes) - 1} nor the values of the truth ({wanted})."
        )


def _strays(counts: np.ndarray, values: Iterable[int]) -> float:
    """Return which share of the pixels that are not near 0 is near none of `values`."""
    distance = np.abs(np.arange(256)[:, np.newaxis] - sorted(values)).min(axis=1)
    return float(counts[distance > truth.MIN_DISTANCE].sum() / max(counts[truth.MIN_DISTANCE + 1 :].sum(), 1))


def _numbers(file: TruthFile) -> np.ndarray | None:
    """Return the numbers that a mask holds, uint8 (H, W): levels, ids below 256, or entries of its palette."""
    if file.keys is None:
        return file.values
    numbers = file.numbers or (-1,) * len(file.keys)
    found = [key if isinstance(key, int) else number for key, number in zip(file.keys, numbers, strict=True)]
    return np.array(found, np.uint8)[file.values] if all(0 <= number < 256 for number in found) else None


def _new_name(value: int, taken: Collection[str]) -> str:
    """Return a name for the class of a value that only masks have: the truth may have given its number to another."""
    name = f"class {value}"
    while name in taken:
        name = f"{name} (value {value})"
    return name


def _listed(values: Sequence[int | str]) -> str:
    return ", ".join(map(str, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")
