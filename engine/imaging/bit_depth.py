"""Conversion of pixels of any bit depth to 8 bits, a few rows at a time to bound memory.

The rules for scaling are in the docstring of `engine.imaging.codec`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STRIP_PIXELS = 1 << 20
IGNORE_NON_FINITE = np.errstate(over="ignore", invalid="ignore")
"""Infinite and undefined results become 0 in the end, so they need no warning."""


FILL_SAMPLE = 50_000
FILL_GAP, SENTINEL_GAP = 3.0, 1e4
"""A lowest value that many pixels share, further below all others than so many times their range, fills a border; a
greatest value is the mark of missing data only if it lies absurdly far off, as it may be an object."""

HOT_GAP, HOT_SHARE = 10.0, 0.01
"""A greatest value of fewer pixels, so many times the range of all others above them, is that of hot pixels: they stay
white, and the others keep their contrast."""


def to_8_bit(pixels: np.ndarray, nodata: float | None = None) -> np.ndarray:
    """Return an image of any real dtype, (H, W, C), as uint8: stretched, unless its values fit into 8 bits.

    Pixels that are `nodata`, not finite, or of a value that fills a border become 0 and do not count for the stretch.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    low, high = _span(pixels, nodata)
    if low >= 0 and high <= 1 and pixels.dtype.kind == "f":
        return _in_strips(pixels, np.uint8, lambda strip: np.rint(_measured(strip, nodata) * 255))
    if low >= 0 and high <= 255 and pixels.dtype.kind != "f":
        return _in_strips(pixels, np.uint8, lambda strip: _measured(strip, nodata))
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 1e6) ** 0.5))  # a million pixels suffice for the quantiles
    sample = pixels[::step, ::step]
    sample = sample[_is_measured(sample, nodata)].astype(np.result_type(pixels.dtype, np.uint16), copy=False)
    fill, hot = _fill_and_hot_value(sample[:: 1 + len(sample) // FILL_SAMPLE])
    whole = fill is None and nodata is None and pixels.dtype.kind != "f"
    for extreme in (fill, hot):
        sample = sample if extreme is None else sample[sample != extreme]
    lower, upper = np.percentile(sample, (0.1, 99.9)).tolist() if sample.size else (low, high)
    if upper <= lower:  # nearly all pixels have one value: use the full range, so that the few others are visible
        lower, upper = low, high
    lower, width = lower / 2, upper / 2 - lower / 2 or 1.0  # halves: the span of the largest floats is no number

    @IGNORE_NON_FINITE
    def stretched(strip: np.ndarray) -> np.ndarray:
        values = strip.astype(np.float64)
        values /= 2
        values -= lower
        values /= width
        np.clip(values, 0, 1, out=values)
        values *= 255
        np.rint(values, out=values)
        if not whole:
            values[~_is_measured(strip, nodata) | (strip == fill)] = 0
        return values

    return _in_strips(pixels, np.uint8, stretched)


def _fill_and_hot_value(sample: np.ndarray) -> tuple[float | None, float | None]:
    """Return the values, of measured values (N,), that fill a border and that hot pixels have, each if there is one."""
    fill = hot = None
    if _stands_apart(sample, np.min, FILL_GAP):
        fill = float(sample.min())
    elif _stands_apart(sample, np.max, SENTINEL_GAP):
        fill = float(sample.max())
    others = sample if fill is None else sample[sample != fill]
    if _stands_apart(others, np.max, HOT_GAP) and (others == others.max()).mean() < HOT_SHARE:
        hot = float(others.max())
    return fill, hot


def _stands_apart(sample: np.ndarray, extreme: Callable[[np.ndarray], Any], gap: float) -> bool:
    """Return whether several share the least or greatest value, and it is further from 98 % than `gap` their range."""
    if not sample.size:
        return False
    value = float(extreme(sample))
    others = sample[sample != value]
    if sample.size - others.size < 2 or others.size < sample.size / 20:
        return False
    near, middle, far = np.percentile(others, (1, 50, 99)).tolist()
    return middle not in (near, far) and min(abs(near - value), abs(far - value)) > gap * (far - near)


def truth_to_8_bit(values: np.ndarray) -> np.ndarray:
    """Return truth of any real dtype, (H, W), as uint8: the same value becomes the same in every file."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    _, highest = _span(values)
    if values.dtype.kind == "f" and highest <= 1:
        return _in_strips(values, np.uint8, lambda strip: np.rint(_not_below_0(strip) * 255))
    if highest <= 255:
        return _in_strips(values, np.uint8, lambda strip: np.rint(_not_below_0(strip)))
    full = 65535 if highest <= 65535 else highest

    def scaled(strip: np.ndarray) -> np.ndarray:
        strip = _not_below_0(strip)
        return np.where(strip > 0, np.maximum(np.rint(strip / full * 255), 1), 0)

    return _in_strips(values, np.uint8, scaled)


def _in_strips(pixels: np.ndarray, dtype: np.dtype | type, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return `convert(pixels)` as `dtype`, computed a few rows at a time: a large image as floats takes gigabytes."""
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    first = convert(pixels[:rows])
    result = np.empty((len(pixels), *first.shape[1:]), dtype)
    result[:rows] = first
    for top in range(rows, len(pixels), rows):
        result[top : top + rows] = convert(pixels[top : top + rows])
    return result


def _span(pixels: np.ndarray, nodata: float | None = None) -> tuple[float, float]:
    """Return the minimum and the maximum of what is measured; (0, 0) if nothing is."""
    if pixels.dtype.kind != "f" and nodata is None:
        return float(pixels.min()), float(pixels.max())
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = (pixels[top : top + rows] for top in range(0, len(pixels), rows))
    measured = (strip[_is_measured(strip, nodata)] for strip in strips)
    ends = [(float(values.min()), float(values.max())) for values in measured if values.size]
    return min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0)


def _is_measured(values: np.ndarray, nodata: float | None) -> np.ndarray:
    measured = np.isfinite(values)
    return measured if nodata is None else measured & (values != nodata)


def _measured(values: np.ndarray, nodata: float | None) -> np.ndarray:
    return np.where(_is_measured(values, nodata), values, 0)


def _finite(pixels: np.ndarray) -> np.ndarray:
    return np.nan_to_num(pixels.astype(np.float64), nan=0, posinf=0, neginf=0)


def _not_below_0(values: np.ndarray) -> np.ndarray:
    # Through `_finite`, so that NaN and infinity count as 0
    return np.maximum(_finite(values) if values.dtype.kind == "f" else values.astype(np.float64), 0)


@IGNORE_NON_FINITE
def over_white(pixels: np.ndarray) -> np.ndarray:
    """Return the colour of (H, W, 2 or 4) composited over white, in the same dtype."""
    white = _largest(pixels.dtype)

    def composited(strip: np.ndarray) -> np.ndarray:
        alpha = strip[..., -1:].astype(np.float32) / white
        colour = strip[..., :-1] * alpha + white * (1 - alpha)
        return colour if pixels.dtype.kind == "f" else np.rint(colour)

    return _in_strips(pixels, pixels.dtype, composited)


def _largest(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0
