"""The directories of a TIFF, checked before tifffile reads them, because it loads every value that they list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.imaging.limits import MOST_PAGES, UnreadableImage

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_NUMBERS = 4_000_000
"""Numbers of one directory: offsets and sizes of 400,000 tiles of 16 × 16 pixels are 800,000."""

_FIELDS = ("tag", "type", "count", "value")
_MOST_TAGS = 4096
_NEW_SUBFILE_TYPE = 254
_SIZE = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], np.float64)
"""Bytes of a value, by the type of its tag."""


@dataclass(frozen=True)
class Directory:
    """One directory of a chain, and whether it is a smaller copy, or a mask, of another image."""

    index: int
    reduced: bool


def read_directories(data: bytes) -> list[Directory]:
    """Return the directories of a TIFF in the order of their chain, as far as it can be followed.

    Raises:
        UnreadableImage: a directory lists more values than a file of this size can hold.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    word, head = (8, 8) if big else (4, 2)
    entry = np.dtype([(name, f"{order}u{size}") for name, size in zip(_FIELDS, (2, 2, word, word), strict=True)])
    at, seen, found = _number(data, 8 if big else 4, word, order), set[int](), list[Directory]()
    while 0 < at < len(data) and at not in seen and len(found) < MOST_PAGES:
        seen.add(at)
        count = _number(data, at, head, order)
        end = at + head + count * entry.itemsize
        if not 0 < count <= _MOST_TAGS or end > len(data):
            break
        tags = np.frombuffer(data, entry, count, at + head)
        _check_values(tags, len(data))
        kind = tags["value"][tags["tag"] == _NEW_SUBFILE_TYPE]
        found.append(Directory(len(found), bool(len(kind) and int(kind[0]) & 5)))
        at = _number(data, end, word, order)
    return found


def _check_values(tags: np.ndarray, length: int) -> None:
    kinds = np.minimum(tags["type"], len(_SIZE) - 1)
    counts = tags["count"].astype(np.float64)
    sizes = counts * _SIZE[kinds]
    loaded = tags["value"] + sizes <= length  # tifffile ignores what would lie outside of the file
    numbers = counts[loaded & ~np.isin(kinds, (1, 2, 7))].sum()
    if numbers > MOST_NUMBERS or sizes[loaded].sum() > 2 * length:
        raise UnreadableImage(f"It is a TIFF whose directory lists {numbers:,.0f} numbers, more than it can hold.")


def _number(data: bytes, at: int, size: int, order: str) -> int:
    return int.from_bytes(data[at : at + size], "little" if order == "<" else "big")
