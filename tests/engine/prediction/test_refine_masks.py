"""Masks moved to the edges of the image: closer to what is there, and the same each time."""

import cv2
import numpy as np
import pytest

from engine.imaging import metrics
from engine.prediction.refine_masks import refined
from tests.support.labelling import disc


def coarse(mask):
    """Return what a network sees at an eighth of the size: a soft, blocky probability float32 (H, W)."""
    height, width = mask.shape
    small = cv2.resize(mask.astype(np.float32), (width // 12, height // 12), interpolation=cv2.INTER_AREA)
    return cv2.resize(0.1 + 0.8 * small, (width, height), interpolation=cv2.INTER_LINEAR)


def dice(probability, mask):
    return metrics.dice(probability >= 0.5, mask)


@pytest.mark.parametrize("how", ["guided_filter", "grabcut"])
def test_a_coarse_outline_moves_to_the_edge(how):
    image, mask = disc()
    before = coarse(mask)
    after = refined(image, before, how, np.random.default_rng(0))
    assert after.dtype == np.float32 and after.shape == mask.shape
    assert after.min() >= 0 and after.max() <= 1
    assert dice(after, mask) > dice(before, mask)


def test_none_leaves_the_probability_as_it_is():
    image, mask = disc()
    before = coarse(mask)
    assert np.array_equal(refined(image, before, "none", np.random.default_rng(0)), before)


def test_grabcut_repeats_itself_for_the_same_seed():
    image, mask = disc()
    first, second = (refined(image, coarse(mask), "grabcut", np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (48, 64)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_masks_without_an_outline_and_tiny_images_pass(shape, level):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    after = refined(image, np.full(shape, level, np.float32), "grabcut", np.random.default_rng(0))
    assert np.allclose(after, level, atol=1e-3)
