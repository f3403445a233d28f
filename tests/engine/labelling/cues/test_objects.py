"""Masks as objects: what is dropped, filled and parted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.labelling.cues import objects
from engine.labelling.cues.objects import drop_at_border, drop_by_area, fill_holes, split_at_necks


def discs(*places: tuple[int, int, int]) -> np.ndarray:
    canvas = np.zeros((80, 140), np.uint8)
    for row, column, radius in places:
        cv2.circle(canvas, (column, row), radius, 1, -1)
    return canvas.astype(bool)


def count(mask: np.ndarray) -> int:
    """Return the number of objects; pixels that touch at a corner belong together."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1


def test_objects_outside_the_limits_are_dropped() -> None:
    small, middle, large = discs((10, 10, 3)), discs((40, 40, 8)), discs((40, 100, 25))
    kept = drop_by_area(small | middle | large, 100, 1000)
    np.testing.assert_array_equal(kept, middle)


def test_objects_that_the_frame_cuts_are_dropped() -> None:
    inside = discs((40, 70, 10))
    cut = discs((0, 20, 8), (40, 139, 8), (79, 100, 5), (30, 0, 4))
    np.testing.assert_array_equal(drop_at_border(inside | cut), inside)


def test_small_holes_are_filled_and_large_ones_and_bays_are_not() -> None:
    full = discs((40, 40, 20), (40, 100, 30))
    holed = full & ~discs((40, 40, 3)) & ~discs((40, 100, 15))
    holed[40, 100:140] = False  # the large hole is open to the frame
    expected = holed | discs((40, 40, 3))
    np.testing.assert_array_equal(fill_holes(holed, 100), expected)


@pytest.mark.parametrize(("row", "column", "radius"), [(40, 71, 18), (40, 66, 10)])
def test_touching_discs_are_parted_by_a_thin_line_and_nothing_else_is_lost(row: int, column: int, radius: int) -> None:
    pair = discs((40, 40, 18), (row, column, radius))
    assert count(pair) == 1
    parted = split_at_necks(pair, 0.85)
    assert count(parted) == 2
    assert not (parted & ~pair).any()
    assert 4 < (pair & ~parted).sum() < 50


def test_one_round_object_and_one_bar_stay_whole_even_at_the_frame() -> None:
    bar = np.zeros((80, 140), bool)
    bar[30:40, 0:120] = True
    for whole in (discs((40, 60, 25)), discs((0, 60, 25)), bar, np.ones((80, 140), bool), np.zeros((80, 140), bool)):
        np.testing.assert_array_equal(split_at_necks(whole, 0.85), whole)


def test_a_deeper_neck_is_asked_for_by_a_smaller_share() -> None:
    pair = discs((40, 40, 20), (40, 66, 20))
    assert count(split_at_necks(pair, 0.5)) == 1
    assert count(split_at_necks(pair, 0.95)) == 2


def test_parts_are_the_same_by_few_dilations_and_by_sorting_all_pixels(monkeypatch):
    blobs = cv2.GaussianBlur(np.random.default_rng(0).random((200, 300), np.float32), (0, 0), 6) > 0.5
    with_dilations = objects.parts(blobs, 0.9)
    monkeypatch.setattr(objects, "MOST_DILATIONS", 1)
    assert with_dilations.max() > 10
    np.testing.assert_array_equal(objects.parts(blobs, 0.9), with_dilations)
