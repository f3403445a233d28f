"""The shapes that annotation files describe, and how they are drawn.

Coordinates are (x, y) in pixels; the pixel of row r and column c is the square from (c, r) to (c + 1, r + 1), and it
belongs to a polygon if its centre is inside, by the even-odd rule. This is the convention of COCO and of our exports.
Polygons are drawn by the routine of COCO's authors (pycocotools). Run lengths are decoded here: that library leaves
pixels undefined where the lengths of a file end early.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from engine.datasets.annotations.documents import AnnotationError
from engine.imaging.limits import Limits

BACKGROUND, IGNORE = 0, 255
MOST_CLASSES = 254
"""Classes that a class map of uint8 has room for, beside background and ignore."""

LARGEST_COORDINATE_PX = 1_000_000
MAX_PIXELS = Limits().max_pixels
_MOST_GROUPS = 7
"""Groups of five bits in which a run length of any permitted image is written, with its sign."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A mask by its run lengths: pixels outside, pixels inside, and so on, int32 (N,).

    They cover the box of `size` (height, width) whose top left pixel is `corner` (x, y), column by column, or row by
    row if `by_rows`.
    """

    size: tuple[int, int]
    counts: np.ndarray
    corner: tuple[int, int] = (0, 0)
    by_rows: bool = False

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.counts[1::2].sum())


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotated region: polygons, float32 (N, 2) each, or run lengths.

    `value` is what is drawn: a class from 1, BACKGROUND or IGNORE. If `fractions`, the polygons are in fractions of the
    image's width and height instead of pixels.
    """

    value: int
    rings: tuple[np.ndarray, ...] = ()
    runs: Runs | None = None
    fractions: bool = False

    @property
    def area(self) -> float:
        """About how large it is: pixels, or a share of the image."""
        return self.runs.area if self.runs is not None else sum(map(_area, self.rings))


def draw(shapes: Iterable[Shape], shape: tuple[int, int]) -> np.ndarray:
    """Return the class map, uint8 of `shape` (H, W): 0 background, 1…K classes, 255 ignore.

    Later shapes are drawn over earlier ones. What lies outside of the image is clipped.
    """
    # Column by column, as pycocotools decodes: several times faster than by rows
    canvas = np.zeros(shape, np.uint8, order="F")
    for each in shapes:
        scale = (shape[1], shape[0]) if each.fractions else (1, 1)
        for ring in each.rings:
            _fill(canvas, ring.astype(np.float64) * scale, each.value)
        if each.runs is not None:
            _fill_runs(canvas, each.runs, each.value)
    return np.ascontiguousarray(canvas)


def polygon(points: object) -> np.ndarray:
    """Return a ring, float32 (N, 2), of a flat list x, y, x, y … or of a list of points.

    Raises:
        AnnotationError: the sentence says what is wrong with the points.
    """
    try:
        ring = np.array(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError("Polygons whose coordinates are no numbers were left out.") from None
    if ring.ndim == 1 and len(ring) % 2 == 0:
        ring = ring.reshape(-1, 2)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise AnnotationError("Polygons without three points were left out.")
    # A comparison with NaN is false
    if not (np.abs(ring) <= LARGEST_COORDINATE_PX).all():
        raise AnnotationError("Polygons with infinite or senseless coordinates were left out.")
    return ring.astype(np.float32)


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """Return an ellipse as a ring; its corners stray at most a tenth of a pixel.

    Raises:
        AnnotationError: the numbers are not finite.
    """
    largest = max(abs(radius_x), abs(radius_y))
    if not largest <= LARGEST_COORDINATE_PX:
        raise AnnotationError("Circles with infinite or senseless radii were left out.")
    angles = np.linspace(0, 2 * np.pi, 12 + int(8 * largest**0.5), endpoint=False)
    return polygon(np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1))


def mask_runs(mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> Runs:
    """Return a bool mask (H, W) whose top left pixel lies at `corner` (x, y) as run lengths."""
    steps = np.flatnonzero(np.diff(mask.ravel(), prepend=False))
    counts = np.diff(steps, prepend=0, append=mask.size)
    return runs(counts, (mask.shape[0], mask.shape[1]), corner, by_rows=True)


def runs(counts: object, size: object, corner: tuple[int, int] = (0, 0), by_rows: bool = False) -> Runs:
    """Return run lengths, checked, of a list of integers or a string of COCO, for a box of `size` (height, width).

    Raises:
        AnnotationError: the sentence says what is wrong with them.
    """
    try:
        height, width = np.array(size, np.int64).tolist()
        if isinstance(counts, (str, bytes)):
            lengths = _from_string(counts.encode("ascii") if isinstance(counts, str) else counts)
        else:
            lengths = np.array(counts, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError("Masks with invalid run lengths were left out.") from None
    within = 0 < height <= MAX_PIXELS and 0 < width <= MAX_PIXELS and height * width <= MAX_PIXELS
    if not within or max(map(abs, corner)) > LARGEST_COORDINATE_PX:
        raise AnnotationError("Masks of a senseless size or place were left out.")
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > MAX_PIXELS).any() or lengths.sum() > height * width:
        raise AnnotationError("Masks with invalid run lengths were left out.")
    return Runs((height, width), lengths.astype(np.int32), corner, by_rows)


def declared_size(height: object, width: object) -> tuple[int, int] | None:
    """Return the size of an image that a file declares, or None if it is none."""
    if not isinstance(height, int) or not isinstance(width, int) or min(height, width) <= 0:
        return None
    return (height, width) if max(height, width) <= LARGEST_COORDINATE_PX else None


def _from_string(data: bytes) -> np.ndarray:
    """Return the counts, int64, of a compressed string; `engine.exports.rle.as_string` describes how it is written."""
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((codes & 32) == 0)
    if not len(codes):
        return codes
    if codes.min() < 0 or codes.max() > 63 or ends[-1:].tolist() != [len(codes) - 1]:
        raise ValueError("The string is not in the alphabet of COCO, or cut short.")
    starts = np.concatenate([[0], ends[:-1] + 1])
    groups = ends - starts + 1
    if groups.max() > _MOST_GROUPS:
        raise ValueError("A number is too large.")
    place = np.arange(len(codes)) - np.repeat(starts, groups)
    numbers = np.add.reduceat((codes & 31) << (5 * place), starts)
    numbers -= np.where(codes[ends] & 16, 1 << (5 * groups), 0)
    # From the fourth on, each is the difference to the one two before it
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _fill(canvas: np.ndarray, ring: np.ndarray, value: int) -> None:
    height, width = canvas.shape
    if (ring < 0).any() or (ring > (width, height)).any():
        ring = _clipped(ring, width, height)
        if len(ring) < 3:
            return
    left, top = np.floor(ring.min(0)).astype(int).tolist()
    right, bottom = np.ceil(ring.max(0)).astype(int).tolist()
    if right > left and bottom > top:
        encoded = coco_mask.frPyObjects([(ring - (left, top)).ravel()], bottom - top, right - left)
        inside = coco_mask.decode(encoded)[..., 0].view(bool)
        np.copyto(canvas[top:bottom, left:right], value, where=inside, casting="unsafe")


def _clipped(ring: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the part of a ring that lies in the image.

    Source: Sutherland and Hodgman, "Reentrant polygon clipping", CACM 17(1), 1974, doi:10.1145/360767.360802.
    """
    for axis, bound, sign in ((0, 0, 1), (1, 0, 1), (0, width, -1), (1, height, -1)):
        inside = sign * (ring[:, axis] - bound) >= 0
        if inside.all():
            continue
        following = np.roll(ring, -1, axis=0)
        crosses = inside != np.roll(inside, -1)
        step = np.where(crosses, following[:, axis] - ring[:, axis], 1)
        crossing = ring + ((bound - ring[:, axis]) / step)[:, np.newaxis] * (following - ring)
        crossing[:, axis] = bound
        both = np.stack([ring, crossing], 1).reshape(-1, 2)
        ring = both[np.stack([inside, crosses], 1).ravel()]
        if not len(ring):
            break
    # Rounding may leave a crossing a hair outside
    return np.clip(ring, 0, (width, height))


def _fill_runs(canvas: np.ndarray, mask: Runs, value: int) -> None:
    line = mask.size[1] if mask.by_rows else mask.size[0]
    ends = np.cumsum(mask.counts, dtype=np.int64)
    inside = np.flatnonzero(mask.counts[1::2]) * 2 + 1
    if not len(inside):
        return
    # Only the columns, or rows, that the mask reaches are unpacked: most objects are small
    first = int(ends[inside[0] - 1]) // line
    last = -(-int(ends[inside[-1]]) // line)
    counts = mask.counts[: inside[-1] + 1].copy()
    skipped = first * line
    for index in range(0, inside[0], 2):
        taken = min(skipped, int(counts[index]))
        counts[index] -= taken
        skipped -= taken
    pattern = np.arange(len(counts)) % 2 == 1
    unpacked = np.repeat(pattern, counts)
    crop = np.pad(unpacked, (0, (last - first) * line - len(unpacked))).reshape(-1, line)
    left, top = mask.corner
    if mask.by_rows:
        _paste(canvas, crop, left, top + first, value)
    else:
        _paste(canvas, crop.T, left + first, top, value)


def _paste(canvas: np.ndarray, crop: np.ndarray, left: int, top: int, value: int) -> None:
    crop = crop[max(0, -top) :, max(0, -left) :]
    left, top = max(0, left), max(0, top)
    target = canvas[top : top + crop.shape[0], left : left + crop.shape[1]]
    np.copyto(target, value, where=crop[: target.shape[0], : target.shape[1]], casting="unsafe")


def _area(ring: np.ndarray) -> float:
    # From the first point, so that float32 keeps its digits
    x, y = (ring - ring[0]).T
    return abs(float(x[:-1] @ y[1:] - y[:-1] @ x[1:])) / 2
