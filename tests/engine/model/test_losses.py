"""Losses: known answers, and a finite gradient that points to the target from everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from engine.run_parameters import Loss
from engine.model.losses import LOSSES


def value(name, target, probability):
    shape = (1, -1, 2, 1)
    return float(LOSSES[name](tf.reshape(tf.constant(target), shape), tf.reshape(tf.constant(probability), shape))[0])


def test_every_loss_of_the_config_exists():
    assert set(LOSSES) == set(Loss.__args__)


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
    target = tf.fill((2, 4, 4, 1), target_value)
    probability = tf.Variable(tf.fill((2, 4, 4, 1), probability_value))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(LOSSES[name](target, probability))
    assert np.isfinite(tape.gradient(loss, probability).numpy()).all()


def test_an_empty_target_is_best_answered_by_nothing():
    empty = [0.0] * 4
    assert value("dice", empty, empty) == pytest.approx(0)
    assert value("dice", empty, [0.5] * 4) > 0.5
