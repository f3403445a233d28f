"""Metrics over a set are those of `engine.imaging.metrics` on all its pixels, however they come in batches."""

import numpy as np
import pytest

from engine.imaging import metrics
from engine.network.keras_metrics import metrics_of


def weighed(mask, weight=None):
    """Return targets (N, H, W, 2) of a mask (N, H, W, 1)."""
    return np.concatenate([mask, np.ones_like(mask) if weight is None else weight], axis=-1)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((7, 8, 8, 1)) > 0.7).astype(np.float32), rng.random((7, 8, 8, 1)).astype(np.float32)


def scores(*batches, of=None):
    """Return Dice and IoU after these batches, each targets and probabilities."""
    several = of or metrics_of(1)
    for target, probability in batches:
        for metric in several:
            metric.update_state(target, probability)
    return [float(metric.result()) for metric in several]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_batches_do_not_matter(size):
    target, probability = drawn()
    starts = [slice(start, start + size) for start in range(0, 7, size)]
    dice, iou = scores(*((weighed(target[each]), probability[each]) for each in starts))
    mask = target[..., 0] > 0
    soft_dice = 2 * probability[mask].sum() / (probability.sum() + mask.sum())
    assert dice == pytest.approx(soft_dice, abs=1e-6)
    assert iou == pytest.approx(metrics.iou(probability[..., 0] >= 0.5, mask), abs=1e-6)


def test_a_soft_target_counts_from_one_half_on():
    soft, exact = np.float32([0.4, 0.6]), np.float32([0.0, 1.0])
    assert scores((weighed(soft.reshape(1, 1, 2, 1)), exact.reshape(1, 1, 2, 1))) == [1, 1]


def test_nothing_where_nothing_is_scores_one_and_reset_forgets():
    empty = np.zeros((1, 4, 4, 1), np.float32)
    several = metrics_of(1)
    assert scores((weighed(empty), empty), of=several) == [1, 1]
    assert scores((weighed(empty), empty + 1), of=several) == [0, 0]
    for metric in several:
        metric.reset_state()
    assert scores(of=several) == [1, 1]


def test_doubt_below_the_threshold_where_nothing_is_scores_one_like_the_mask():
    empty = np.zeros((2, 4, 4, 1), np.float32)
    doubt = weighed(empty), empty + 0.3
    one_pixel = empty.copy()
    one_pixel[0, 0, 0] = 0.6
    assert scores(doubt) == [1, 1]
    assert scores(doubt, (weighed(empty), one_pixel)) == [0, 0]


def test_pixels_of_no_weight_do_not_count_and_others_count_fully():
    target, probability = drawn()
    weight = np.zeros_like(target)
    weight[:, :, :4] = 0.3
    left = scores((weighed(target[:, :, :4]), probability[:, :, :4]))
    assert scores((weighed(target, weight), probability)) == pytest.approx(left)
