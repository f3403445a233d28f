"""Weights of classes, from how many pixels of each are trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.training.class_weights import class_weights
from engine.training.samples import Pixels


def pixels(*counts: int) -> Pixels:
    return Pixels((), 64, Path("unused"), (), (), (), (), 5, counts)


def test_without_weights_or_with_one_class_all_count_alike():
    assert class_weights("none", pixels(900, 90, 10)) is None
    assert class_weights("inverse_frequency", pixels()) is None


@pytest.mark.parametrize("kind", ["inverse_frequency", "effective_number"])
def test_an_average_pixel_counts_one_and_a_rare_one_more(kind):
    counts = (900_000, 90_000, 300)
    weights = class_weights(kind, pixels(*counts))
    assert np.dot(weights, counts) / sum(counts) == pytest.approx(1)
    assert weights[0] <= weights[1] < weights[2]


def test_inverse_frequency_gives_each_class_the_same_say():
    counts = (900, 90, 10)
    weights = class_weights("inverse_frequency", pixels(*counts))
    np.testing.assert_allclose(np.multiply(weights, counts), 1000 / 3)


def test_classes_that_fill_many_squares_count_alike_by_effective_number():
    first, second, rare = class_weights("effective_number", pixels(10_000_000, 1_000_000, 400))
    assert first == pytest.approx(second, rel=1e-6)
    beta = 1 - 1 / 64**2
    assert rare / first == pytest.approx((1 - beta**10_000_000) / (1 - beta**400))


def test_a_class_without_pixels_has_no_weight():
    assert class_weights("inverse_frequency", pixels(900, 0, 100))[1] == 0
    assert np.isfinite(class_weights("effective_number", pixels(900, 0, 100))).all()
