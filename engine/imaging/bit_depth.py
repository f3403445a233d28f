"""Pixels of any depth as 8 bits, a few rows at a time, so that 50 megapixels of 16-bit colour need no gigabytes.

What is scaled and what keeps its meaning is said at the head of engine.imaging.codec.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STRIP_PIXELS = 1 << 20
BEYOND_A_NUMBER = np.errstate(over="ignore", invalid="ignore")
"""Infinite results and those that are undefined count as 0 in the end, so none of them needs a warning."""


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
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / 1e6) ** 0.5))  # a million pixels tell the quantiles
    lower, upper = np.percentile(_finite(pixels[::step, ::step]).astype(np.float64), (0.1, 99.9)).tolist()
    if upper <= lower:  # nearly everything has one value, so the few others are what there is to see
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
    """Return `convert` of the pixels, as `dtype`, done a few rows at a time: a whole picture as floats is gigabytes."""
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    result: np.ndarray | None = None
    for top in range(0, len(pixels), rows):
        strip = convert(pixels[top : top + rows])
        if result is None:
            result = np.empty((len(pixels), *strip.shape[1:]), dtype)
        result[top : top + rows] = strip
    return result


def _span(pixels: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest value; what is not a number counts as 0."""
    if pixels.dtype.kind != "f":
        return float(pixels.min()), float(pixels.max())
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = (_finite(pixels[top : top + rows]) for top in range(0, len(pixels), rows))
    ends = [(float(strip.min()), float(strip.max())) for strip in strips]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _finite(pixels: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is beyond float32 is no number here
        return np.nan_to_num(pixels.astype(np.float32), nan=0, posinf=0, neginf=0)


def _not_below_0(values: np.ndarray) -> np.ndarray:
    # What `_span` takes for no number is none here either
    return np.maximum(_finite(values) if values.dtype.kind == "f" else values.astype(np.float64), 0)


@BEYOND_A_NUMBER
def over_white(pixels: np.ndarray) -> np.ndarray:
    """Return the colour of (H, W, 2 or 4) laid over white, in the same dtype."""
    white = _largest(pixels.dtype)

    def laid(strip: np.ndarray) -> np.ndarray:
        alpha = strip[..., -1:].astype(np.float32) / white
        colour = strip[..., :-1] * alpha + white * (1 - alpha)
        return colour if pixels.dtype.kind == "f" else np.rint(colour)

    return _in_strips(pixels, pixels.dtype, laid)


def alpha_or_over_black(pixels: np.ndarray) -> np.ndarray:
    """Return alpha (H, W, 1) where it alone varies in (H, W, 2 or 4), else the colour laid over black."""
    colour, alpha = pixels[..., :-1], pixels[..., -1:]
    visible = colour[alpha[..., 0] > 0]
    if alpha.min() == alpha.max():
        return colour
    if (visible == visible[:1]).all():
        return alpha
    return np.where(alpha > 0, colour, 0).astype(colour.dtype)


def _largest(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


@BEYOND_A_NUMBER
def luma(pixels: np.ndarray) -> np.ndarray:
    """Return the brightness (H, W, 1) of RGB (H, W, 3) by ITU-R 601, in the same dtype."""
    weights = np.array([[0.299], [0.587], [0.114]])
    whole = (lambda luma: luma) if pixels.dtype.kind == "f" else np.rint
    return _in_strips(pixels, pixels.dtype, lambda strip: whole(strip.astype(np.float64) @ weights))
