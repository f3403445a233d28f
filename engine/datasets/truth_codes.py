"""One byte for each id, colour or name of a dataset's truth: what is stored, whatever a file's own coding is.

Levels, and ids below 254, are their own code. Other ids and all colours get a code when they are met first, and the
classes that annotation files name, before; a dataset keeps the table, so that a later import gives them the same one.
Levels beside named classes get codes too: foreground of 255 would not be the class of that number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.datasets.truth_file import BLACK, IGNORED, Key, TruthFile, is_name, named_levels
from engine.imaging.class_maps import IGNORE

OTHERS = 254
"""The code of all ids and colours for which no code is left."""

FOREGROUND = "foreground"

IGNORED_COLOURS = frozenset({"#e0e0c0"})
"""Colours that mean "nobody decided": the borders of Pascal VOC."""

LOSSY_DISTANCE, EXACT_DISTANCE = 24, 8
"""Colours of two files are the same if no channel differs by more."""


class TruthCodes:
    """The codes of a dataset, 0 to 255: `table` lists (code, id, colour or name), `occupied` the values in use."""

    def __init__(self, table: Iterable[tuple[int, Key]] = (), occupied: Iterable[int] = ()) -> None:
        self._code: dict[Key, int] = {key: code for code, key in table}
        self._occupied = {0, *occupied}
        self._others: set[Key] = set()

    @property
    def table(self) -> list[tuple[int, Key]]:
        """Return (code, id, colour or name) in the order of the codes."""
        return sorted(((code, key) for key, code in self._code.items()), key=lambda row: row[0])

    @property
    def names(self) -> dict[str, int]:
        """Return the code of each class that has a name."""
        return {str(key): code for key, code in self._code.items() if is_name(key)}

    def add_names(self, names: Sequence[str]) -> dict[str, int]:
        """Give each class a code and return the new ones: its number from 1 where that is free, 255 if ignored."""
        added = {}
        for number, name in enumerate(names, start=1):
            if name not in self._code:
                taken = self._occupied.union(self._code.values())
                wanted = IGNORE if name == IGNORED else number
                free = next((code for code in (wanted, *range(1, OTHERS)) if code not in taken), OTHERS)
                added[name] = self._code[name] = free
        return added

    @property
    def foreground(self) -> str:
        """What levels that are not background are called beside named classes: the class, or "foreground" of many."""
        names = [name for name in self.names if name != IGNORED]
        return names[0] if len(names) == 1 else FOREGROUND

    def encode(self, file: TruthFile) -> np.ndarray:
        """Return the codes of a file, uint8 (H, W)."""
        if file.keys is None and self.names:
            file = named_levels(file, self.foreground)
        if file.keys is None:
            return file.values
        numbers = file.numbers or (-1,) * len(file.keys)
        codes = [self._code_of(key, number, file.lossy) for key, number in zip(file.keys, numbers, strict=True)]
        return np.array(codes, np.uint8)[file.values]

    def _code_of(self, key: Key, number: int, lossy: bool) -> int:
        if key in (0, BLACK):
            return 0
        if key in self._code:
            return self._code[key]
        if isinstance(key, int):
            if key < 0:
                return IGNORE
            if (key < OTHERS or key == IGNORE) and key not in self._code.values():
                self._code[key] = key
                return key
        elif key in IGNORED_COLOURS:
            return IGNORE
        elif not is_name(key) and (near := self._nearest(key, LOSSY_DISTANCE if lossy else EXACT_DISTANCE)) is not None:
            return near
        if key in self._others:
            return OTHERS
        code = self._free(key, number)
        if code is None:
            self._others.add(key)
            return OTHERS
        self._code[key] = code
        return code

    def _free(self, key: Key, number: int) -> int | None:
        """Return a code that is free: colours from below, or their palette index; ids from above, where no id is."""
        taken = self._occupied.union(self._code.values())
        wanted = range(1, OTHERS) if isinstance(key, str) else range(OTHERS - 1, 0, -1)
        if 0 < number < OTHERS and number not in taken:
            return number
        return next((code for code in wanted if code not in taken), None)

    def _nearest(self, colour: str, distance: int) -> int | None:
        known = {BLACK: 0} | {key: code for key, code in self._code.items() if _is_colour(key)}
        gaps = np.abs(np.array([_channels(str(key)) for key in known]) - _channels(colour)).max(axis=1)
        return list(known.values())[gaps.argmin()] if gaps.min() <= distance else None


def _is_colour(key: Key) -> bool:
    return isinstance(key, str) and not is_name(key)


def _channels(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))
