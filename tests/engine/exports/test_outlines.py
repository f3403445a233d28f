"""Outlines enclose exactly their object; simpler ones nearly; and holes survive in one ring."""

import cv2
import numpy as np
import pytest

from engine.exports.outlines import bridged, objects, outline, signed_area
from tests.support.drawn_masks import ADVERSARIAL, real_masks

SCALE = 8


def filled(ring, shape):
    """Return which pixel centres lie inside a ring, by OpenCV's filling on a grid eight times finer."""
    canvas = np.zeros((shape[0] * SCALE, shape[1] * SCALE), np.uint8)
    cv2.fillPoly(canvas, [np.round(np.asarray(ring) * SCALE).astype(np.int32)], 1)
    return canvas[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE].astype(bool)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_an_outline_with_every_step_encloses_exactly_its_pixels(name):
    mask = ADVERSARIAL[name]
    for found in objects(mask):
        exact = found.outline(tolerance_px=0)
        holes = sum(abs(signed_area(hole)) for hole in exact.holes)
        assert abs(signed_area(exact.outer)) - holes == found.area
        assert (found.outer(tolerance_px=0) is None) == bool(exact.holes)


def test_pixels_that_touch_at_a_corner_are_one_object_with_one_outline():
    mask = np.eye(5, dtype=bool)
    (found,) = objects(mask)
    assert found.area == 5 and not found.outline(0).holes
    assert abs(signed_area(found.outer(0))) == 5


def test_a_hole_stays_a_hole_in_the_one_ring_that_walks_to_it():
    mask = ADVERSARIAL["holes"]
    outer, island = objects(mask)
    ring = bridged(outer.outline())
    whole = filled(ring, mask.shape) | filled(island.outer(), mask.shape)
    assert abs(signed_area(ring)) == outer.area
    assert (whole == mask).mean() > 0.99


def test_simpler_outlines_of_real_objects_overlap_them_almost_wholly():
    seen = 0
    for mask in real_masks():
        for found in objects(mask):
            if found.area < 1000:
                continue
            drawn = filled(bridged(found.outline()), mask.shape)
            left, top, wide, high = found.box
            own = np.zeros_like(mask)
            own[top : top + high, left : left + wide] = found.crop
            assert (drawn & own).sum() / (drawn | own).sum() > 0.98
            assert len(found.outline().outer) < len(found.outline(0).outer)
            seen += 1
    assert seen >= 6


def test_an_object_too_small_to_be_simplified_keeps_every_step():
    speck = np.array([[1, 1, 1], [1, 0, 0]], bool)
    assert abs(signed_area(outline(speck).outer)) == 4
