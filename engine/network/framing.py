"""Framing: cutting an image of any size into the squares that a network takes, and merging predictions for squares.

An image is scaled first (`scaled_shape`). A square is a window of S × S pixels over the scaled image, identified by its
top-left corner (top, left). A window may extend beyond the image, with a negative corner; the image is mirrored at its
edge. Imports only NumPy and OpenCV, so that the Train page can preview exactly what training does.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import cv2
import numpy as np

from engine.core.run_parameters import DataParams

Shape = tuple[int, int]
Corner = tuple[int, int]

MAX_SQUARES = 64
"""Longest side of a cropped image in squares; longer ones are distorted: 8 × 100,000 pixels would fill the disk."""

MAX_TILES = 16
"""Most tiles of one image in an epoch, so that a large image does not dominate."""

POINTS = 64
"""Number of foreground pixels of an image that are kept for placing tiles on them."""

EDGE_WEIGHT = 1e-3
"""Weight at a square's edge where squares overlap; it is 1 at the centre. Above 0, as some pixels are in edges only."""


def scaled_shape(shape: Shape, params: DataParams, size: int) -> Shape:
    """Return the (height, width) to which an image of `shape` is scaled before squares of `size` are cut from it."""
    if params.framing == "stretch":
        return size, size
    scale = {"pad": size / max(shape), "crop": size / min(shape), "tiles": params.tile_scale}[params.framing]
    height, width = (max(1, round(side * scale)) for side in shape)
    if params.framing == "crop":
        height, width = min(height, MAX_SQUARES * size), min(width, MAX_SQUARES * size)
    return height, width


def windows(shape: Shape, size: int, overlap: int = 0) -> list[Corner]:
    """Return the corners of squares that cover a scaled image evenly, row by row, overlapping by at least `overlap` px.

    A side shorter than `size` has one window, with the image in its middle.
    """
    tops, lefts = (_starts(length, size, overlap) for length in shape)
    return [(top, left) for top in tops for left in lefts]


def shares(shape: Shape, size: int) -> list[tuple[Corner, tuple[slice, slice]]]:
    """Return the windows of least overlap, each with its own part, (rows, columns).

    Together the parts contain each pixel of the scaled image exactly once, and no mirrored pixel.
    """
    rows, columns = (_shares(length, size) for length in shape)
    return [((top, left), (high, wide)) for top, high in rows for left, wide in columns]


def squares_per_epoch(shape: Shape, params: DataParams, size: int) -> int:
    """Return the number of squares that an image of scaled `shape` contributes to one epoch of training."""
    if params.framing != "tiles":
        return 1
    return min(max(1, round(shape[0] * shape[1] / size**2)), MAX_TILES)


def foreground_points(target: np.ndarray, count: int = POINTS) -> np.ndarray:
    """Return up to `count` foreground pixels, int32 (K, 2) as (row, column), of a target, uint8 (H, W)."""
    pixels = np.flatnonzero(target >= 128)
    if len(pixels) > count:
        pixels = pixels[np.linspace(0, len(pixels) - 1, count).astype(np.int64)]
    return np.column_stack(np.unravel_index(pixels, target.shape)).astype(np.int32)


def draw_corner(shape: Shape, size: int, params: DataParams, points: np.ndarray, rng: np.random.Generator) -> Corner:
    """Return a random window for training; a share of the tiles contains one of the foreground `points` (K, 2)."""
    near = None
    if params.framing == "tiles" and rng.random() < params.object_tiles and len(points):
        near = points[rng.integers(len(points))]
    row, column = (None, None) if near is None else near
    return _draw_start(shape[0], size, row, rng), _draw_start(shape[1], size, column, rng)


def cut(pixels: np.ndarray, corner: Corner, size: int) -> np.ndarray:
    """Return the window of `size` at `corner` of a scaled image (H, W[, C]), mirrored where it extends beyond it."""
    (top, left), (height, width) = corner, pixels.shape[:2]
    part = pixels[max(top, 0) : top + size, max(left, 0) : left + size]
    above, below = max(-top, 0), max(top + size - height, 0)
    before, after = max(-left, 0), max(left + size - width, 0)
    if not (above or below or before or after):
        return np.ascontiguousarray(part)
    return cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_REFLECT)


def overlap(corner: Corner, shape: Shape, square: Shape) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the part of a window that lies on a scaled image of `shape`: as slices of the window, and of the image."""
    (top, bottom), (left, right) = (
        (max(start, 0), min(start + size, length)) for start, length, size in zip(corner, shape, square, strict=True)
    )
    inside = slice(top - corner[0], bottom - corner[0]), slice(left - corner[1], right - corner[1])
    return inside, (slice(top, bottom), slice(left, right))


class Canvas:
    """Merges the predictions for the windows of one image: their mean, weighted towards the centre of each window.

    The weights are a Hann window with a minimum (`EDGE_WEIGHT`), so that no seam is visible where windows meet.
    """

    def __init__(self, shape: Shape, size: int, values: tuple[int, ...] = ()) -> None:
        """Start without predictions, for a scaled image of `shape` and squares of `size`.

        `values` is (C,) if there are C values for each pixel, and () if there is one.
        """
        self._shape = shape
        self._weights = _hann(size).reshape(size, size, *[1] * len(values))
        self._sum = np.zeros((*shape, *values), np.float32)
        self._total = np.zeros((*shape, *[1] * len(values)), np.float32)

    def add(self, square: np.ndarray, corner: Corner) -> None:
        """Add the prediction for one window, float32 (S, S[, C]); its mirrored part is dropped."""
        inside, place = overlap(corner, self._shape, (square.shape[0], square.shape[1]))
        weights = self._weights[inside]
        self._sum[place] += square[inside] * weights
        self._total[place] += weights

    def mean(self) -> np.ndarray:
        """Return the prediction for the whole scaled image, float32 (H, W[, C]). Ends the use of the canvas."""
        self._sum /= self._total  # in place: with many classes this is the largest array of all
        return self._sum


@lru_cache(maxsize=4)
def _hann(size: int) -> np.ndarray:
    """Return the weights of the pixels of a square, float32 (S, S)."""
    profile = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    profile = EDGE_WEIGHT + (1 - EDGE_WEIGHT) * profile
    return np.outer(profile, profile).astype(np.float32)


def _starts(length: int, size: int, overlap: int) -> list[int]:
    if length <= size:
        return [_middle(length, size)]
    count = 1 + math.ceil((length - size) / (size - overlap))
    return [round(index * (length - size) / (count - 1)) for index in range(count)]


def _shares(length: int, size: int) -> list[tuple[int, slice]]:
    starts = _starts(length, size, 0)
    between = [(before + size + after) // 2 for before, after in itertools.pairwise(starts)]
    bounds = [0, *between, length]
    return [(start, slice(bounds[i] - start, bounds[i + 1] - start)) for i, start in enumerate(starts)]


def _draw_start(length: int, size: int, near: int | None, rng: np.random.Generator) -> int:
    room = length - size
    if room <= 0:
        return _middle(length, size)
    if near is None:
        return int(rng.integers(room + 1))
    return int(np.clip(near - rng.integers(size), 0, room))


def _middle(length: int, size: int) -> int:
    return -((size - length) // 2)
