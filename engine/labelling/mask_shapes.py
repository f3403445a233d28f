"""How much masks look like background rather than like objects, from their shapes alone.

A figure is the smaller part of an image and lies inside it; what covers most of it or runs along its border is taken
for ground (Rubin, "Synsoplevede Figurer", 1915; Palmer, "Vision Science", MIT Press 1999, chapter 6). And masks of the
same place in every image follow a frame, a field of view, or what a fixed camera always sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import cv2
import numpy as np

GRID = 32
LEAST_MASKS = 3
"""Fewer masks lie in the same place by chance."""

LARGE = 0.05
"""The share of the image from which a piece can be background: many small objects may touch the border."""

COVERS = 0.5, 0.6
CONTACT = 0.15, 0.25
SAME = 0.5, 0.8
"""From the first value doubt rises, and reaches 1 at the second: share of the image, share of the outline on the image
border, and `same_place`."""


@dataclass(frozen=True)
class MaskShape:
    """`area`: share of the image; `contact`: share of the outline at which a large piece meets the image border.

    Both are in [0, 1].
    `grid`: GRID x GRID bits, which thin objects leave empty.
    """

    area: float
    contact: float
    grid: bytes


def mask_shape(mask: np.ndarray) -> MaskShape:
    """Return the shape of a mask, bool (H, W)."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= LARGE * mask.size
    large[0] = False
    inside = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    outline = max(int(inside + np.count_nonzero(_border(mask))), 1)
    cells = cv2.resize(mask.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA) >= 0.5
    return MaskShape(
        area=float(mask.mean()),
        contact=float(np.count_nonzero(large[_border(pieces)]) / outline),
        grid=np.packbits(cells).tobytes(),
    )


def figure(shape: MaskShape) -> float:
    """Return how much a mask looks like objects rather than like background, in [0, 1]."""
    return 1 - max(ramp(shape.area, COVERS), ramp(shape.contact, CONTACT))


def same_place(shapes: Sequence[MaskShape]) -> float:
    """Return how much better masks of other images predict the place of a mask than the centre of the image does.

    It is the median, over pairs, of the part of the disagreement with a central ellipse of the other mask's size that
    the other mask explains (Cohen's kappa): 1 if all are the same, 0 or less for objects anywhere or in the middle, and
    for fewer than LEAST_MASKS masks with a cell.
    """
    grids = [grid for shape in shapes if (grid := _cells(shape)).any()]
    if len(grids) < LEAST_MASKS:
        return 0.0
    return float(np.median([_explained(one, other) for one, other in permutations(grids, 2)]))


def agreement(shapes: Sequence[MaskShape], others: Sequence[MaskShape]) -> float:
    """Return the mean of Cohen's kappa between two masks of each image, up to 1; 0 is chance.

    Masks without a cell, of thin or tiny objects, say nothing; it is 1 if there are no others.
    """
    pairs = [(_cells(one), _cells(other)) for one, other in zip(shapes, others, strict=True)]
    kappas = [_kappa(one, other) for one, other in pairs if one.any() and other.any()]
    return float(np.mean(kappas)) if kappas else 1.0


def ramp(value: float, limits: tuple[float, float]) -> float:
    """Return 0 up to the first limit, 1 from the second, and linear values in between."""
    low, high = limits
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _border(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _cells(shape: MaskShape) -> np.ndarray:
    return np.unpackbits(np.frombuffer(shape.grid, np.uint8)).astype(bool)


def _explained(mask: np.ndarray, other: np.ndarray) -> float:
    central = max(_kappa(mask, _ellipse(int(other.sum()))), 0.0)
    return (_kappa(mask, other) - central) / (1 - central) if central < 1 else 0.0


def _ellipse(cells: int) -> np.ndarray:
    near = np.zeros(GRID * GRID, bool)
    near[_from_the_centre()[:cells]] = True
    return near


@cache
def _from_the_centre() -> np.ndarray:
    rows, columns = np.mgrid[:GRID, :GRID] - (GRID - 1) / 2
    return np.argsort((rows**2 + columns**2).ravel(), kind="stable")


def _kappa(one: np.ndarray, other: np.ndarray) -> float:
    """Return Cohen's kappa of two bool arrays: two masks that cover much overlap by chance."""
    agree, a, b = float((one == other).mean()), float(one.mean()), float(other.mean())
    chance = a * b + (1 - a) * (1 - b)
    return (agree - chance) / (1 - chance) if chance < 1 else 0.0
