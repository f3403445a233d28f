"""Limits on the size of an image, checked on its header before pixels are decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_SCANS = 100
"""Progressive JPEGs of cameras and editors have about ten scans. Each scan is a pass over the whole image, and an empty
one takes a few bytes, so a small file with thousands of scans would take hours to decode."""

MOST_PAGES = 10_000
"""Pages or frames of one file that are counted and read; the others are ignored."""

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SCAN, _END, _ALONE = 0xDA, 0xD9, (0x01, 0xD8)


class UnreadableImage(ValueError):
    """A file that cannot be decoded as an image. The message is one sentence about "it"; the caller adds the name."""


@dataclass(frozen=True)
class Limits:
    """Limits on the size of one image."""

    max_pixels: int = 100_000_000
    min_side_px: int = 8
    """Smaller images cannot be segmented; a 1 × 1 image is a tracking pixel or a mistake."""
    max_side_px: int = 65_535
    """The limit of JPEG; OpenCV reads no PNG with a side above 2^20."""


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise UnreadableImage if an image of this size is outside the limits."""
    if width * height > limits.max_pixels:
        raise UnreadableImage(
            f"It has {width} × {height} pixels ({width * height / 1e6:.0f} megapixels); "
            f"the limit is {limits.max_pixels / 1e6:g} megapixels."
        )
    if min(width, height) < limits.min_side_px:
        raise UnreadableImage(
            f"It has {width} × {height} pixels; the shorter side must have at least {limits.min_side_px}."
        )
    if max(width, height) > limits.max_side_px:
        raise UnreadableImage(
            f"It has {width} × {height} pixels; the longer side may have at most {limits.max_side_px:,}."
        )


def check_jpeg_scans(data: bytes) -> None:
    """Raise UnreadableImage if a JPEG has more than MOST_SCANS scans."""
    scans, at = 0, 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        if marker == _SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise UnreadableImage(f"It is a JPEG of more than {MOST_SCANS} scans, which is the limit.")
        if marker not in _ALONE:
            at += max(int.from_bytes(data[at : at + 2], "big"), 2)
