"""Intervals of counts: what thresholds span, and how often calibrated ones hold the truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.measuring.intervals import Interval, margin, moved, spread
from engine.measuring.objects import ObjectParams


def test_a_faint_object_widens_the_interval_and_a_sharp_one_does_not():
    levels = np.zeros((60, 120), np.uint8)
    cv2.circle(levels, (30, 30), 12, 255, -1)
    sharp = spread(levels, None, ObjectParams())
    assert (sharp.count.value, sharp.count.low, sharp.count.high) == (1, 1, 1)
    assert sharp.covered.low == sharp.covered.high == pytest.approx((levels > 0).mean())
    cv2.circle(levels, (90, 30), 12, 100, -1)  # probability 0.39
    faint = spread(levels, None, ObjectParams())
    assert (faint.count.value, faint.count.low, faint.count.high) == (1, 1, 2)
    assert faint.covered.high == pytest.approx((levels > 0).mean())


def test_classes_are_counted_apart_where_they_touch():
    levels, likely = np.full((20, 40), 255, np.uint8), np.ones((20, 40), np.uint8)
    likely[:, 20:] = 2
    assert spread(levels, likely, ObjectParams()).count.value == 2


def test_calibrated_intervals_hold_the_truth_of_other_images_as_often_as_they_say():
    random = np.random.default_rng(0)
    held = []
    for _ in range(60):
        truths = random.poisson(random.uniform(5, 80, 120)).astype(float)
        values = np.maximum(0, truths + random.normal(0, np.sqrt(truths + 1)))
        intervals = [Interval(value, value, value) for value in values]
        by = margin(intervals[:60], truths[:60])
        assert by is not None
        found = [moved(interval, by) for interval in intervals[60:]]
        held += [each.low <= truth <= each.high for each, truth in zip(found, truths[60:], strict=True)]
    assert 0.88 < np.mean(held) < 0.93


def test_intervals_that_were_too_wide_are_narrowed_but_keep_their_value():
    by = margin([Interval(25, 4, 64)] * 20, [25.0] * 20)
    assert by == pytest.approx(-3)
    found = moved(Interval(25, 4, 64), by)
    assert (found.low, found.high) == (pytest.approx(25), pytest.approx(25))


def test_few_images_calibrate_nothing():
    assert margin([Interval(1, 1, 1)] * 8, [1.0] * 8) is None
    assert margin([Interval(1, 1, 1)] * 9, [1.0] * 9) == 0
