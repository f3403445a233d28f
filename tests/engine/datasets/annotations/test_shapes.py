"""Shapes are drawn by pixel centres, as COCO's authors draw them, and clipped at the edges of the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from engine.datasets.annotations.documents import AnnotationError
from engine.datasets.annotations.shapes import Shape, draw, ellipse, mask_runs, polygon, runs
from engine.exports import rle
from engine.exports.outlines import objects
from tests.support.drawn_masks import ADVERSARIAL, real_masks

NAMED = {**ADVERSARIAL, **{f"real {number}": mask for number, mask in enumerate(real_masks(2))}}


def ring(*points: float) -> Shape:
    return Shape(1, (polygon(list(points)),))


def test_a_rectangle_along_pixel_edges_covers_exactly_its_pixels():
    drawn = draw([ring(1, 2, 4, 2, 4, 3, 1, 3)], (5, 6))
    assert np.argwhere(drawn).tolist() == [[2, 1], [2, 2], [2, 3]]


def test_later_shapes_cover_earlier_ones_and_a_value_of_0_is_background():
    large, small, hole = (polygon([0, 0, side, 0, side, side, 0, side]) for side in (6, 4, 2))
    drawn = draw([Shape(1, (large,)), Shape(2, (small,)), Shape(0, (hole,))], (6, 6))
    assert np.bincount(drawn.ravel()).tolist() == [4, 20, 12]


def test_a_ring_that_crosses_itself_is_filled_by_the_even_odd_rule():
    drawn = draw([ring(0, 0, 9, 0, 9, 9, 0, 9, 0, 0, 3, 3, 6, 3, 6, 6, 3, 6, 3, 3)], (9, 9))
    assert drawn.sum() == 72 and not drawn[3:6, 3:6].any()


@pytest.mark.parametrize("fractions", [False, True])
def test_what_is_outside_of_the_image_is_clipped(fractions):
    scale = (1 / 10, 1 / 8) if fractions else (1, 1)
    points = np.array([(-50, -50), (4, -50), (4, 3), (1000, 3), (1000, 900), (-50, 900)])
    drawn = draw([Shape(1, (polygon(points * scale),), fractions=fractions)], (8, 10))
    expected = np.ones((8, 10), np.uint8)
    expected[:3, 4:] = 0
    assert (drawn == expected).all()
    assert not draw([ring(20, 20, 30, 20, 30, 30), ring(-5, 0, -1, 0, -1, 8), ring(3, 3, 3, 3, 3, 3)], (8, 10)).any()


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(-30, 60), st.integers(-30, 60)), min_size=3, max_size=8))
def test_a_clipped_polygon_is_what_the_image_shows_of_the_whole(points):
    points = np.array(points)
    whole = draw([Shape(1, (polygon(points + 30),))], (90, 90))[30:60, 30:65]
    clipped = draw([Shape(1, (polygon(points),))], (30, 35))
    # The reference places edges on a grid of 0.2 pixels, from where each begins
    assert (whole != clipped).mean() < 0.05


@pytest.mark.parametrize("name", NAMED)
def test_run_lengths_give_back_every_pixel(name):
    mask = NAMED[name]
    encoded = rle.encode(mask)
    uncompressed = rle.counts(*rle.mask_runs(mask), mask.size).tolist()
    for found in (runs(encoded["counts"], encoded["size"]), runs(uncompressed, mask.shape), mask_runs(mask)):
        assert (draw([Shape(1, runs=found)], mask.shape) == mask).all()
        assert found.area == mask.sum()


@pytest.mark.parametrize("name", NAMED)
def test_exact_outlines_give_back_every_object_without_holes(name):
    mask = NAMED[name]
    for each in objects(mask):
        outer = each.outer(tolerance_px=0)
        if outer is not None:
            left, top, wide, high = each.box
            drawn = draw([Shape(1, (polygon(outer),))], mask.shape)
            assert (drawn[top : top + high, left : left + wide] == each.crop).all() and drawn.sum() == each.area


@settings(max_examples=100)
@given(
    st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 999)
)
def test_any_mask_at_any_place(height, width, share, left, top, seed):
    mask = np.random.default_rng(seed).random((height, width)) < share
    encoded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    by_columns = runs(encoded["counts"], encoded["size"], (left, top))
    padded = np.pad(mask, 60)[60 - top : 85 - top, 60 - left : 80 - left]
    for found in (by_columns, mask_runs(mask, (left, top))):
        assert (draw([Shape(1, runs=found)], (25, 20)) == padded).all()


def test_an_ellipse_has_the_area_of_an_ellipse():
    for radius_x, radius_y in ((10, 10), (40, 20), (200, 300)):
        drawn = draw([Shape(1, (ellipse(350, 350, radius_x, radius_y),))], (700, 700))
        assert drawn.sum() == pytest.approx(np.pi * radius_x * radius_y, rel=0.04)


@pytest.mark.parametrize("points", [None, "1", [], [1, 2, 3, 4], [1] * 7, [[1, 2], [3]], [[[1, 2]]] * 3, {}])
def test_points_that_are_no_polygon(points):
    with pytest.raises(AnnotationError, match="left out"):
        polygon(points)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e7, 10**400, None, "x"])
def test_coordinates_that_are_no_numbers(number):
    with pytest.raises(AnnotationError, match="coordinates"):
        polygon([0, 0, 5, 0, number, 5])


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([5, -1], [4, 4]),
        ([5, 12], [4, 4]),
        ("0o", [4, 4]),
        ("\x00", [4, 4]),
        ("ä", [4, 4]),
        ("oooooooooooooooo0", [4, 4]),
        ([1], [0, 4]),
        ([1], [4]),
        ([1], None),
        ([1], [10**6, 10**6]),
        ([10**30], [4, 4]),
        ([[1]], [4, 4]),
        (None, [4, 4]),
        ([float("nan")], [4, 4]),
    ],
)
def test_run_lengths_that_are_none(counts, size):
    with pytest.raises(AnnotationError, match="left out"):
        runs(counts, size)


def test_run_lengths_that_end_early_leave_background():
    assert draw([Shape(1, runs=runs("", [4, 4])), Shape(1, runs=runs([2, 3], [4, 4]))], (4, 4)).sum() == 3
