"""What one picture may be, checked on its header before a pixel is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_SCANS = 100
"""Progressive JPEGs of cameras and editors have about ten. Each scan is a pass over the whole picture, and an empty one
takes a few bytes, so that a small file of thousands would decode for hours."""

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SCAN, _END, _ALONE = 0xDA, 0xD9, (0x01, 0xD8)


class UnreadableImage(ValueError):
    """A file that gives no picture. The message is one sentence about "it": the caller knows and adds the name."""


@dataclass(frozen=True)
class Limits:
    """What one picture may be."""

    max_pixels: int = 100_000_000
    min_side_px: int = 8
    """Below this nothing can be segmented; a 1 x 1 image is a tracking pixel or a mistake."""
    max_side_px: int = 65_535
    """The longest that JPEG allows; OpenCV reads no PNG with a side above 2^20."""


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raise UnreadableImage if a picture of so many pixels is outside the limits."""
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
    """Raise UnreadableImage if a JPEG has more scans than any that is meant to be looked at."""
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
