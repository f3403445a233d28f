"""The objects of a mask and their outlines as polygons.

An object is a connected piece of foreground, where pixels that touch at a corner are connected, or what has one number
in a label map, which may be in several pieces. An outline runs along the
edges of pixels, in coordinates (x, y) in which the pixel of row r and column c is the square from (c, r) to
(c + 1, r + 1). So it encloses exactly the pixels of its object; made simpler, it strays less than a pixel from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from engine.exports import rle

TOLERANCE_PX = 0.75
"""How far a simpler outline may stray. The steps of a slanted edge are 0.71 px high; more smooths them away."""

MOST_HOLES = 64
"""A polygon walks to this many holes of an object, the largest; the others are filled."""

LARGEST_CHANGE = 0.01
"""A simpler outline that changes the enclosed area by more than this share is not used: the object is too small."""

# Ways along pixel edges: 0 east, 1 south, 2 west, 3 north; after each, where to turn: left, if that is possible, so
# that pixels which touch at a corner stay together; else ahead; else right.
_TURNS = ((3, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 0))


@dataclass(frozen=True)
class Outline:
    """One object's polygons, float (N, 2) as (x, y): the outer one, and one for each hole in it."""

    outer: np.ndarray
    holes: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class MaskObject:
    """One object of a mask or a label map.

    `box` is (left, top, width, height) in pixels. `starts` and `lengths` are its runs in the whole mask, read column by
    column (see `engine.exports.rle`). `crop` is its own mask, bool, inside the box.
    """

    box: tuple[int, int, int, int]
    area: int
    starts: np.ndarray
    lengths: np.ndarray
    crop: np.ndarray

    def outer(self, tolerance_px: float = TOLERANCE_PX) -> np.ndarray | None:
        """Return the one polygon (N, 2) that is this object, or None if it has holes or several pieces."""
        left, top, wide, high = self.box
        if self.area == wide * high:  # most specks are
            return np.array([(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)])
        ring = next(_rings(self.crop))
        return _simpler(ring, tolerance_px) + self.box[:2] if abs(signed_area(ring)) == self.area else None

    def outline(self, tolerance_px: float = TOLERANCE_PX) -> Outline:
        """Return its polygons in the coordinates of the whole image; `tolerance_px` 0 keeps every step.

        It has to be in one piece.
        """
        return outline(self.crop, self.box[:2], tolerance_px)

    def pieces(self, *, apart_at_corners: bool = False) -> list[Outline]:
        """Return the polygons of each of its pieces in the coordinates of the whole image, with every step.

        Where pieces are `apart_at_corners`, pixels that touch at a corner only belong to different pieces. Then no ring
        touches itself, and the polygons are valid simple features (OGC 06-103r4, 6.1.11).
        """
        connectivity, pieces = 4 if apart_at_corners else 8, []
        _, numbers, boxes, _ = cv2.connectedComponentsWithStats(self.crop.astype(np.uint8), connectivity=connectivity)
        for number, (left, top, wide, high, _) in enumerate(boxes[1:].tolist(), start=1):
            mask = numbers[top : top + high, left : left + wide] == number
            pieces.append(outline(mask, (self.box[0] + left, self.box[1] + top), 0))
        return pieces


def class_masks(class_map: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each class of a class map, uint8 (H, W), beside background, and its mask, bool (H, W)."""
    for number in np.flatnonzero(np.bincount(class_map.ravel())).tolist():
        if number:
            yield number, class_map == number


def objects(mask: np.ndarray) -> Iterator[MaskObject]:
    """Yield the connected pieces of a bool mask (H, W), from the top row down."""
    height = mask.shape[0]
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    # A row of background below keeps what ends one column apart from what begins the next: it may be another object.
    starts, lengths = rle.mask_runs(np.pad(mask, ((0, 1), (0, 0))))
    starts = starts - starts // (height + 1)
    owner = labels[starts % height, starts // height]
    order = np.argsort(owner, kind="stable")
    starts, lengths = starts[order], lengths[order]
    bounds = np.searchsorted(owner[order], np.arange(1, count + 1))
    for number in range(1, count):
        left, top, wide, high, area = (int(value) for value in boxes[number])
        mine = slice(bounds[number - 1], bounds[number])
        crop = labels[top : top + high, left : left + wide] == number
        yield MaskObject((left, top, wide, high), area, *_joined(starts[mine], lengths[mine]), crop)


def labelled_objects(labels: np.ndarray) -> Iterator[tuple[int, MaskObject]]:
    """Yield each number above 0 of a label map, int32 (H, W), and its object, in order."""
    from scipy.ndimage import find_objects

    for number, place in enumerate(find_objects(labels), start=1):
        if place is None:
            continue
        crop = labels[place] == number
        high, wide = crop.shape
        top, left = place[0].start, place[1].start
        # A row of background below keeps the runs of two columns apart
        starts, lengths = rle.mask_runs(np.pad(crop, ((0, 1), (0, 0))))
        columns, rows = np.divmod(starts, high + 1)
        runs = _joined((left + columns) * labels.shape[0] + top + rows, lengths)
        yield number, MaskObject((left, top, wide, high), int(lengths.sum()), *runs, crop)


def _joined(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return runs of which none begins where another ends."""
    ends = starts + lengths
    apart = starts[1:] != ends[:-1]
    starts = starts[np.concatenate([[True], apart])]
    return starts, ends[np.concatenate([apart, [True]])] - starts


def outline(mask: np.ndarray, corner: tuple[int, int] = (0, 0), tolerance_px: float = TOLERANCE_PX) -> Outline:
    """Return the polygons of one connected object, bool (H, W), whose top left pixel lies at `corner` (x, y)."""
    outer, *holes = (_simpler(ring, tolerance_px) + corner for ring in _rings(mask))
    return Outline(outer, tuple(holes))


def signed_area(ring: np.ndarray) -> float:
    """Return the area that a polygon (N, 2) encloses; its sign tells which way round it goes."""
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def bridged(found: Outline) -> np.ndarray:
    """Return an outline with holes as one polygon (N, 2): it walks to each hole, around it, and the same way back.

    The way there and back encloses nothing, so what is filled has the holes. Formats that know one ring per object
    keep them so, the `MOST_HOLES` largest.
    """
    ring = found.outer
    holes = sorted(found.holes, key=lambda hole: -abs(signed_area(hole)))[:MOST_HOLES]
    for hole in holes:
        entry = hole[0]
        near = int(np.argmin(((ring - entry) ** 2).sum(1)))
        ring = np.concatenate([ring[: near + 1], hole, hole[:1], ring[near:]])
    return ring


def _rings(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield every closed walk along the edge of one connected object, int (N, 2) as (x, y), only its corners.

    The first begins at the highest corner that there is, so it is the one around all others.
    """
    padded = np.pad(mask, 1)
    south_east, north_east, south_west, north_west = padded[1:, 1:], padded[:-1, 1:], padded[1:, :-1], padded[:-1, :-1]
    # From a corner of the pixel grid a step leads on where foreground is on its right hand, and none on its left.
    leaving = np.stack(
        [south_east & ~north_east, south_west & ~south_east, north_west & ~south_west, north_east & ~north_west], -1
    )
    width = leaving.shape[1]
    untaken = bytearray(leaving.tobytes())
    ahead = (1, width, -1, -width)
    for start in np.flatnonzero(leaving).tolist():
        if not untaken[start]:
            continue
        corner, way = divmod(start, 4)
        ring = []
        while True:
            corner += ahead[way]
            ways = _TURNS[way]
            at = 4 * corner
            turn = ways[0] if untaken[at + ways[0]] else ways[1] if untaken[at + ways[1]] else ways[2]
            if turn != way:
                ring.append((corner % width, corner // width))
            if at + turn == start:
                break
            untaken[at + turn] = 0
            way = turn
        untaken[start] = 0
        yield np.array(ring)


def _simpler(ring: np.ndarray, tolerance_px: float) -> np.ndarray:
    """Return a ring with fewer corners, or as it is where that would lose too much of its area."""
    if not tolerance_px or len(ring) <= 4:
        return ring
    fewer = cv2.approxPolyDP(ring.astype(np.float32), tolerance_px, closed=True)[:, 0]
    area = signed_area(ring)
    if len(fewer) < 3 or abs(signed_area(fewer) - area) > LARGEST_CHANGE * abs(area):
        return ring
    return fewer
