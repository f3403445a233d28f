"""Files that are nearly what they were: changes that find what a decoder believes without looking."""

from __future__ import annotations

import random
import struct
import zlib

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PNG = b"\x89PNG\r\n\x1a\n"


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return `data` with a few changes; some take a part of `other`. A PNG's checksums are mostly made right again."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(_CHANGES)(changed, other, rng)
    if changed.startswith(_PNG) and rng.random() < 0.8:
        return with_right_checksums(bytes(changed))
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """Return a PNG whose chunks have the checksums of what is in them now, so that a decoder looks further."""
    changed, at = bytearray(data), len(_PNG)
    while at + 12 <= len(changed):
        length = struct.unpack_from(">I", changed, at)[0]
        end = at + 8 + length
        if end + 4 > len(changed):
            break
        struct.pack_into(">I", changed, end, zlib.crc32(changed[at + 4 : end]))
        at = end + 4
    return bytes(changed)


def _place(data: bytearray, rng: random.Random) -> int:
    """Return a place, more often near the beginning or the end: headers and lists of files lie there."""
    if not data:
        return 0
    where = rng.random()
    near = min(len(data), 300)
    if where < 0.5:
        return rng.randrange(near)
    if where < 0.7:
        return len(data) - 1 - rng.randrange(near)
    return rng.randrange(len(data))


def _flip(data: bytearray, _: bytes, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _number(data: bytearray, _: bytes, rng: random.Random) -> None:
    form = rng.choice(("B", "<H", ">H", "<I", ">I", "<I", ">I"))
    size, at = struct.calcsize(form), _place(data, rng)
    if at + size <= len(data):
        struct.pack_into(form, data, at, rng.choice(_NUMBERS) & (1 << 8 * size) - 1)


def _cut(data: bytearray, _: bytes, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 16, 500))]


def _end(data: bytearray, _: bytes, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _double(data: bytearray, _: bytes, rng: random.Random) -> None:
    at, times = _place(data, rng), rng.choice((1, 2, 30))
    data[at:at] = data[at : at + rng.choice((1, 12, 200))] * times


def _graft(data: bytearray, other: bytes, rng: random.Random) -> None:
    start = rng.randrange(len(other) + 1)
    at = _place(data, rng)
    part = other[start : start + rng.choice((4, 40, 4000))]
    data[at : at + (len(part) if rng.random() < 0.5 else 0)] = part


_CHANGES = (_flip, _flip, _number, _number, _number, _cut, _end, _double, _graft)
