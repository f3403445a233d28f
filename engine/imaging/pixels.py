"""Pixels as a file holds them, before they become 8 bits, and what the file says about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PLACEHOLDER_DPI = (72.0, 96.0)
"""Programs write these resolutions where they know none, so they say nothing about the object."""

UM = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", "inches"), 25_400.0),
    "å": 1e-4,
}
"""Micrometres per unit of length, by the names that OME and ImageJ write."""


@dataclass(frozen=True)
class PixelSize:
    """The size of one pixel in micrometres, of the upright image, and where the file says so ("OME", "EXIF")."""

    width_um: float
    height_um: float
    source: str


@dataclass(frozen=True)
class Pixels:
    """One page of a file.

    Attributes:
        values: (H, W, C), upright, of the file's own dtype (bool, integers or floats). Higher is brighter: MinIsWhite,
            CMYK, YCbCr and Lab are converted already, and colours of a palette applied unless it was to be kept.
        alpha: whether the last channel is opacity, because the file says so.
        palette: colours uint8 (N, 3); then `values` are its indices, C == 1.
        pages: how many pages, frames or slices the file has.
        pixel_size: None where the file does not say.
        nodata: the value of pixels that hold no measurement, where the file names one.
    """

    values: np.ndarray
    alpha: bool = False
    palette: np.ndarray | None = None
    pages: int = 1
    pixel_size: PixelSize | None = None
    nodata: float | None = None


def upright(pixels: np.ndarray, orientation: Any) -> np.ndarray:
    """Return the pixels (H, W, C) with the orientation of EXIF or TIFF, 1 to 8, applied."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def pixel_size(size_um: Sequence[float], source: str, orientation: Any = 1) -> PixelSize | None:
    """Return a pixel size of (width, height) in micrometres as stored, or None if it is no possible size."""
    width, height = (float(side) for side in size_um)
    if not (math.isfinite(width) and math.isfinite(height) and 1e-7 < width < 1e10 and 1e-7 < height < 1e10):
        return None
    return PixelSize(height, width, source) if orientation in (5, 6, 7, 8) else PixelSize(width, height, source)


def size_from_resolution(per_unit: Sequence[Any], unit: Any, source: str, orientation: Any = 1) -> PixelSize | None:
    """Return a pixel size from (x, y) pixels per unit and the unit tag of TIFF and EXIF: 2 is inch, 3 centimetre."""
    unit_um = {2: 25_400.0, 3: 10_000.0}.get(unit)
    x, y = (float(number) for number in per_unit)
    if unit_um is None or min(x, y) <= 1 or (unit == 2 and x in PLACEHOLDER_DPI):
        return None
    return pixel_size((unit_um / x, unit_um / y), source, orientation)
