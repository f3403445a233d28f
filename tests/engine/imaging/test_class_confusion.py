"""Scores and confusions of classes, from pixels counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.imaging import metrics
from engine.imaging.class_confusion import Confused, class_confusion

NAMES = ("background", "egg", "pan", "spoon")
TRUTH = np.array([[0, 0, 1, 1], [2, 2, 2, 2]], np.uint8)
MASKS = np.array([[0, 1, 1, 2], [2, 2, 1, 0]], np.uint8)


def test_scores_are_of_pixels_summed_over_images():
    images = [metrics.confusion(MASKS, TRUTH), metrics.confusion(TRUTH * 0, TRUTH * 0)]
    found = class_confusion(NAMES, images)
    assert found.matrix.tolist() == [[9, 1, 0, 0], [0, 1, 1, 0], [1, 1, 2, 0], [0, 0, 0, 0]]
    egg, pan, spoon = found.results
    assert (egg.name, egg.dice, egg.iou, egg.images) == ("egg", pytest.approx(2 / 5), pytest.approx(1 / 4), 1)
    assert (pan.number, pan.dice) == (2, pytest.approx(4 / 7))
    assert (spoon.dice, spoon.iou, spoon.images) == (None, None, 0)
    assert found.images_with == (2, 1, 1, 0)


def test_shares_are_of_the_class_in_truth():
    shares = class_confusion(NAMES, [metrics.confusion(MASKS, TRUTH)]).shares
    assert shares[2].tolist() == [0.25, 0.25, 0.5, 0]
    assert np.isnan(shares[3]).all()


def test_confusions_are_ordered_by_pixels_and_leave_background_out_unless_asked():
    twice = [metrics.confusion(MASKS, TRUTH), [[1, 2, 5]]]
    found = class_confusion(NAMES, twice)
    assert found.confused() == (Confused(1, 2, 6, pytest.approx(6 / 7)), Confused(2, 1, 1, 0.25))
    assert [(each.truth, each.predicted) for each in found.confused(background=True)] == [
        (1, 2),
        (0, 1),
        (2, 0),
        (2, 1),
    ]


def test_without_images_nothing_is_known():
    found = class_confusion(NAMES, [])
    assert found.confused() == () and {result.dice for result in found.results} == {None}
