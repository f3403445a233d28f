"""The drawn sample set: the same everywhere, and something a method can work on."""

from __future__ import annotations

import numpy as np
import pytest

from engine.datasets import sample
from engine.imaging import metrics

IMAGE_MEAN, MASK_PIXELS = 135.43, 14552
SCENES = [sample.scene(index) for index in range(0, sample.COUNT, 4)]


def test_kind_and_size():
    for image, mask in SCENES:
        assert image.shape == (sample.HEIGHT_PX, sample.WIDTH_PX, 3)
        assert image.dtype == np.uint8
        assert mask.shape == image.shape[:2]
        assert mask.dtype == bool


def test_the_same_index_and_seed_give_the_same_pixels():
    image, mask = sample.scene(8)
    np.testing.assert_array_equal(image, SCENES[2][0])
    np.testing.assert_array_equal(mask, SCENES[2][1])
    assert (sample.scene(8, seed=1)[0] != image).any()


def test_the_pixels_are_those_that_were_drawn_when_this_was_written():
    image, mask = sample.scene(0)
    assert image.mean() == pytest.approx(IMAGE_MEAN, abs=0.01)
    assert mask.sum() == pytest.approx(MASK_PIXELS, abs=3)


def test_things_are_neither_specks_nor_everything():
    shares = [mask.mean() for _, mask in SCENES]
    assert min(shares) > 0.02
    assert max(shares) < 0.4


def test_things_differ_from_their_ground_and_grounds_are_textured():
    for image, mask in SCENES:
        apart = np.abs(image[mask].mean(axis=0) - image[~mask].mean(axis=0)).max()
        assert apart > 8
        assert image[~mask].std() > 6


def test_no_threshold_on_lightness_solves_it():
    """Otherwise the sample would teach nothing about the choice of a method."""
    best = []
    for image, mask in SCENES:
        grey = image.mean(axis=2)
        levels = np.percentile(grey, [10, 25, 50, 75, 90])
        best.append(max(metrics.dice(side, mask) for level in levels for side in (grey > level, grey < level)))
    assert np.mean(best) < 0.75


def test_names_are_unique():
    assert len({sample.name(index) for index in range(sample.COUNT)}) == sample.COUNT
