"""Truth as a reference: foreground, and pixels that are left out of every comparison."""

from __future__ import annotations

import numpy as np

from engine.imaging import class_maps, metrics
from engine.imaging.class_maps import IGNORE

VALUES = np.repeat(np.repeat(np.array([[0, 1, 2, 9]], np.uint8), 8, axis=0), 8, axis=1)
LOOKUP = [0, 1, 2, *[0] * 6, IGNORE, *[0] * 246]


def test_every_class_but_background_and_ignore_is_foreground():
    found = class_maps.reference(VALUES, LOOKUP)
    np.testing.assert_array_equal(found.foreground, (VALUES == 1) | (VALUES == 2))
    np.testing.assert_array_equal(found.ignored, VALUES == 9)
    assert class_maps.reference(np.minimum(VALUES, 2), LOOKUP).ignored is None


def test_what_is_ignored_changes_no_score():
    truth = class_maps.reference(VALUES, LOOKUP)
    right = truth.foreground
    for mask in (right, right | (VALUES == 9)):
        assert metrics.dice(*truth.beside(mask)) == 1
        counts = metrics.threshold_counts(*truth.beside(mask.astype(np.uint8) * 255))
        assert (counts.predicted[50], counts.reference) == (right.sum(), right.sum())
    wrong = right ^ (VALUES == 0)
    assert metrics.dice(*truth.beside(wrong)) == metrics.dice(right[VALUES != 9], wrong[VALUES != 9])


def test_a_reference_takes_the_size_of_what_is_compared():
    truth = class_maps.reference(VALUES, LOOKUP)
    values, foreground = truth.beside(np.zeros((4, 16), bool))
    assert values.shape == foreground.shape == (48,)
    assert foreground.sum() == 32


def test_a_lookup_of_ignored_values_alone_has_no_foreground():
    assert not class_maps.has_foreground([0, IGNORE] * 128)
    assert class_maps.has_foreground(LOOKUP)
