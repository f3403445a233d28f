"""Metrics over a set are those of `engine.imaging.metrics` on all its pixels, however they come in batches."""

import numpy as np
import pytest

from engine.imaging import metrics
from engine.network.keras_metrics import BinaryIoU, SoftDice


def weighed(mask, weight=None):
    """Return targets (N, H, W, 2) of a mask (N, H, W, 1)."""
    return np.concatenate([mask, np.ones_like(mask) if weight is None else weight], axis=-1)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((7, 8, 8, 1)) > 0.7).astype(np.float32), rng.random((7, 8, 8, 1)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_batches_do_not_matter(size):
    target, probability = drawn()
    dice, iou = SoftDice(), BinaryIoU()
    for start in range(0, 7, size):
        for metric in (dice, iou):
            metric.update_state(weighed(target[start : start + size]), probability[start : start + size])
    mask = target[..., 0] > 0
    soft_dice = 2 * probability[mask].sum() / (probability.sum() + mask.sum())
    assert float(dice.result()) == pytest.approx(soft_dice, abs=1e-6)
    assert float(iou.result()) == pytest.approx(metrics.iou(probability[..., 0] >= 0.5, mask), abs=1e-6)


def test_a_soft_target_counts_from_one_half_on():
    metric = BinaryIoU()
    metric.update_state(weighed(np.float32([0.4, 0.6]).reshape(1, 1, 2, 1)), np.float32([0.0, 1.0]).reshape(1, 1, 2, 1))
    assert float(metric.result()) == 1


def test_nothing_where_nothing_is_scores_one_and_reset_forgets():
    empty = np.zeros((1, 4, 4, 1), np.float32)
    for metric in (SoftDice(), BinaryIoU()):
        metric.update_state(weighed(empty), empty)
        assert float(metric.result()) == 1
        metric.update_state(weighed(empty), empty + 1)
        assert float(metric.result()) == 0
        metric.reset_state()
        assert float(metric.result()) == 1


def test_doubt_below_the_threshold_where_nothing_is_scores_one_like_the_mask():
    empty = np.zeros((2, 4, 4, 1), np.float32)
    for metric in (SoftDice(), BinaryIoU()):
        metric.update_state(weighed(empty), empty + 0.3)
        assert float(metric.result()) == 1
        one_pixel = empty.copy()
        one_pixel[0, 0, 0] = 0.6
        metric.update_state(weighed(empty), one_pixel)
        assert float(metric.result()) == 0


def test_pixels_of_no_weight_do_not_count_and_others_count_fully():
    target, probability = drawn()
    weight = np.zeros_like(target)
    weight[:, :, :4] = 0.3
    for metric in (SoftDice(), BinaryIoU()):
        metric.update_state(weighed(target, weight), probability)
        left = type(metric)()
        left.update_state(weighed(target[:, :, :4]), probability[:, :, :4])
        assert float(metric.result()) == pytest.approx(float(left.result()))
