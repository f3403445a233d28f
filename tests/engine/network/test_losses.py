"""Losses: known answers, values and gradients by their formulas, and a finite gradient from everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from engine.core.run_parameters import Loss, TrainingParams
from engine.network.losses import loss_of

LOSSES = Loss.__args__


def loss(name, alpha=0.3):
    return loss_of(TrainingParams(loss=name, tversky_alpha=alpha))


def value(name, target, probability, weight=None, alpha=0.3):
    """Return the loss of four pixels."""
    pixels = [np.float32(values).reshape(1, 2, 2) for values in (target, weight or [1.0] * 4)]
    return float(loss(name, alpha)(np.stack(pixels, -1), np.float32(probability).reshape(1, 2, 2, 1))[0])


def test_known_answers():
    target, probability = [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]
    entropy = 2 * np.log(2) / 4
    assert value("binary_crossentropy", target, probability) == pytest.approx(entropy, abs=1e-4)
    assert value("dice", target, probability) == pytest.approx(1 - (2 * 0.5 + 1) / (1 + 1 + 1))
    both = value("binary_crossentropy", target, probability) + value("dice", target, probability)
    assert value("bce_dice", target, probability) == pytest.approx(both)
    assert value("focal", target, probability) == pytest.approx(0.25 * entropy, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_the_right_answer_costs_nothing_and_the_wrong_one_most(name):
    target = [1.0, 0.0, 1.0, 0.0]
    right, unsure, wrong = (value(name, target, p) for p in (target, [0.5] * 4, [0.0, 1.0, 0.0, 1.0]))
    assert right == pytest.approx(0, abs=1e-4)
    assert right < unsure < wrong
    assert np.isfinite(wrong)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target_value", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("probability_value", [0.0, 0.5, 1.0])
def test_gradients_are_finite(name, target_value, probability_value):
    target = tf.stack([tf.fill((2, 4, 4), target_value), tf.ones((2, 4, 4))], -1)
    probability = tf.Variable(tf.fill((2, 4, 4, 1), probability_value))
    with tf.GradientTape() as tape:
        cost = tf.reduce_mean(loss(name)(target, probability))
    assert np.isfinite(tape.gradient(cost, probability).numpy()).all()


def test_an_empty_target_is_best_answered_by_nothing():
    empty = [0.0] * 4
    assert value("dice", empty, empty) == pytest.approx(0)
    assert value("dice", empty, [0.5] * 4) > 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_pixels_of_no_weight_cost_nothing_and_an_image_counts_by_its_weight(name):
    target, probability = [1.0, 0.0, 1.0, 0.0], [0.9, 0.2, 0.0, 1.0]
    whole = value(name, target, [0.9, 0.2, 0.9, 0.2])
    assert value(name, target, probability, [1.0, 1.0, 0.0, 0.0]) < value(name, target, probability)
    assert value(name, target, [0.9, 0.2, 0.9, 0.2], [0.5] * 4) < whole
    assert value(name, target, probability, [0.0] * 4) == pytest.approx(0, abs=1e-6)


def test_tversky_is_dice_in_the_middle_and_punishes_misses_or_false_alarms():
    target, probability = [1.0, 0.0, 0.0, 0.0], [0.7, 0.4, 0.1, 0.0]
    assert value("tversky", target, probability, alpha=0.5) == pytest.approx(value("dice", target, probability))
    miss, alarm = [0.0] * 4, [1.0, 1.0, 0.0, 0.0]
    assert value("tversky", target, miss, alpha=0.1) > value("tversky", target, miss, alpha=0.9)
    assert value("tversky", target, alarm, alpha=0.1) < value("tversky", target, alarm, alpha=0.9)


def by_formula(params, target, probability, class_weights):
    """Return the loss of one image, written down for all classes in float64: (H, W, 2 or 3), (H, W, 1 or K + 1)."""
    share, weight = target[..., 0], target[..., 1]
    if probability.shape[-1] == 1:
        classes, probability = np.ones_like(share), np.concatenate([1 - probability, probability], -1)
    else:
        classes = target[..., 2]
    shares = (classes[..., np.newaxis] == np.arange(probability.shape[-1])) * share[..., np.newaxis]
    shares[..., 0] = 1 - shares[..., 1:].sum(-1)
    entropy = -shares * np.log(probability) * np.float64(class_weights or 1)
    if params.loss == "focal":
        entropy *= np.abs(shares - probability) ** 2
    alpha = params.tversky_alpha if params.loss == "tversky" else 0.5
    counted = weight[..., np.newaxis]
    true, false, missed = (
        (counted * each)[..., 1:].sum((0, 1))
        for each in (shares * probability, (1 - shares) * probability, shares * (1 - probability))
    )
    overlap = np.mean(1 - (true + 0.5) / (true + alpha * false + (1 - alpha) * missed + 0.5)) * weight.mean()
    entropy = (weight * entropy.sum(-1)).mean()
    return {"dice": overlap, "tversky": overlap, "bce_dice": entropy + overlap}.get(params.loss, entropy)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("weighed", [False, True])
def test_values_and_gradients_are_those_of_the_formula(name, classes, weighed):
    """Soft targets, ignored pixels and pixels of all weights; some have a share although their class is background."""
    rng = np.random.default_rng(classes)
    outputs = classes + 1 if classes > 1 else 1
    params, class_weights = TrainingParams(loss=name), list(np.linspace(0.5, 2, classes + 1)) if weighed else None
    numbers = rng.integers(0, classes + 1, (4, 5))
    channels = [rng.random((4, 5)), rng.random((4, 5)) * rng.integers(0, 2, (4, 5)), numbers]
    target = np.stack(channels[: 2 + (classes > 1)], -1)
    logits = 2 * rng.normal(size=(4, 5, max(outputs, 2)))
    probability = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))[..., -outputs:]
    variable = tf.Variable(probability[np.newaxis], dtype="float32")
    with tf.GradientTape() as tape:
        (found,) = loss_of(params, class_weights)(tf.constant(target[np.newaxis], "float32"), variable)
    assert float(found) == pytest.approx(by_formula(params, target, probability, class_weights), rel=1e-5)
    slopes = np.empty_like(probability)
    for place in np.ndindex(probability.shape):
        step = np.zeros_like(probability)
        step[place] = 1e-6
        above, below = (by_formula(params, target, probability + side * step, class_weights) for side in (1, -1))
        slopes[place] = (above - below) / 2e-6
    np.testing.assert_allclose(tape.gradient(found, variable)[0], slopes, rtol=1e-4, atol=1e-6)
