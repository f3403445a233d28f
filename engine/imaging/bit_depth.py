"""Conversion of pixels of any bit depth to 8 bits, a few rows at a time to bound memory.

The rules for scaling are in the docstring of `engine.imaging.codec`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STRIP_PIXELS = 1 << 20
IGNORE_NON_FINITE = np.errstate(over="ignore", invalid="ignore")
"""Infinite and undefined results become 0 in the end, so they need no warning."""


def to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Return an image of any real dtype, (H, W, C), as uint8: stretched, unless its values fit into 8 bits."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    low, high = _span(pixels)
    if low >= 0 and high <= 1 and pixels.dtype.kind == "f":
        return _in_strips(pixels, np.uint8, lambda strip: np.rint(_finite(strip) * 255))
    if low >= 0 and high <= 255 and pixels.dtype.kind != "f":
        return pixels.astype(np.uint8)
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 1e6) ** 0.5))  # a million pixels suffice for the quantiles
    lower, upper = np.percentile(_finite(pixels[::step, ::step]).astype(np.float64), (0.1, 99.9)).tolist()
    if upper <= lower:  # nearly all pixels have one value: use the full range, so that the few others are visible
        lower, upper = low, high
    width = upper - lower or 1.0

    def stretched(strip: np.ndarray) -> np.ndarray:
        return np.rint(np.clip((_finite(strip).astype(np.float64) - lower) / width, 0, 1) * 255)

    return _in_strips(pixels, np.uint8, stretched)


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


def _span(pixels: np.ndarray) -> tuple[float, float]:
    """Return the minimum and the maximum; NaN and infinity count as 0."""
    if pixels.dtype.kind != "f":
        return float(pixels.min()), float(pixels.max())
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = (_finite(pixels[top : top + rows]) for top in range(0, len(pixels), rows))
    ends = [(float(strip.min()), float(strip.max())) for strip in strips]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _finite(pixels: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, then 0
        return np.nan_to_num(pixels.astype(np.float32), nan=0, posinf=0, neginf=0)


def _not_below_0(values: np.ndarray) -> np.ndarray:
    # Through `_finite`, so that NaN and infinity count as 0, as in `_span`
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


def alpha_or_over_black(pixels: np.ndarray) -> np.ndarray:
    """Return alpha (H, W, 1) if only alpha varies in (H, W, 2 or 4), else the colour, black where transparent."""
    colour, alpha = pixels[..., :-1], pixels[..., -1:]
    visible = colour[alpha[..., 0] > 0]
    if alpha.min() == alpha.max():
        return colour
    if (visible == visible[:1]).all():
        return alpha
    return np.where(alpha > 0, colour, 0).astype(colour.dtype)


def _largest(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


@IGNORE_NON_FINITE
def luma(pixels: np.ndarray) -> np.ndarray:
    """Return the brightness (H, W, 1) of RGB (H, W, 3) by ITU-R 601, in the same dtype."""
    weights = np.array([[0.299], [0.587], [0.114]])
    whole = (lambda luma: luma) if pixels.dtype.kind == "f" else np.rint
    return _in_strips(pixels, pixels.dtype, lambda strip: whole(strip.astype(np.float64) @ weights))
