"""Losses: known answers, and a finite gradient that points to the target from everywhere."""

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
