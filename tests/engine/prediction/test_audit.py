"""The interval of an audit covers the true mean as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.prediction.audit import estimate, score

POPULATIONS = {
    "good masks": lambda rng: rng.beta(8, 2, 300),
    "few failures": lambda rng: np.where(rng.random(300) < 0.05, rng.beta(1, 3, 300), rng.beta(40, 2, 300)),
    "half empty": lambda rng: np.where(rng.random(300) < 0.5, 0.0, rng.beta(8, 2, 300)),
}


@pytest.mark.parametrize("kind", POPULATIONS)
def test_the_interval_covers_the_mean_of_the_dataset_in_at_least_93_of_100_audits(kind):
    rng = np.random.default_rng(0)
    population = POPULATIONS[kind](rng)
    found = [estimate(rng.choice(population, 20, replace=False)) for _ in range(300)]
    assert np.mean([each.low <= population.mean() <= each.high for each in found]) >= 0.93
    assert all(0 <= each.low <= each.mean <= each.high <= 1 for each in found)


def test_ignored_and_untouched_pixels_do_not_count():
    drawn = np.full((8, 8), UNTOUCHED, np.uint8)
    drawn[:2], drawn[2:4], drawn[4:6] = 1, 0, LEFT_OUT
    levels = np.zeros((8, 8), np.uint8)
    levels[:2] = levels[4:] = 255
    found = score({"a": drawn}, lambda image_id: levels)
    assert found is not None and found.dice.mean == found.iou.mean == 1
    levels[2:4] = 255
    found = score({"a": drawn}, lambda image_id: levels)
    assert found is not None and found.dice.mean == pytest.approx(2 / 3)


def test_an_image_that_is_wholly_ignored_counts_for_nothing():
    drawn = np.ones((4, 4), np.uint8)
    found = score({"a": drawn, "b": drawn * LEFT_OUT}, lambda image_id: np.zeros((4, 4), np.uint8))
    assert found is not None and (found.images, found.dice.mean) == (1, 0)


def test_there_is_no_score_unless_every_image_has_a_mask():
    drawn = np.ones((4, 4), np.uint8)
    assert score({"a": drawn, "b": drawn}, lambda image_id: drawn * 255 if image_id == "a" else None) is None
