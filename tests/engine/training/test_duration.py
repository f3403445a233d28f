"""How long a training takes, before it begins."""

from dataclasses import replace

import pytest

from engine.core.run_config import config_from
from engine.training.duration import LAUNCH_S, PastTraining, modelled, training_seconds
from engine.training.workload import workload

SQUARE = {(256, 256): 60}
MACHINE = {"threads": 2, "half": True}


def planned(preset="fast", images=60, epochs=30, **training):
    config = config_from(preset, {"training": {"epochs": epochs, **training}})
    return config, workload(config, images, SQUARE, False)


def past(factor=1.0, images=60, **planned_as):
    """Return a training that took `factor` times as long as the model says."""
    config, work = planned(images=images, **planned_as)
    parts = modelled(config, work, images, work.epochs, **MACHINE)
    took = [factor * part for part in (parts.train_s, parts.predict_s, parts.rest_s)]
    return PastTraining(config, work, images, work.epochs, *took, **MACHINE)


def estimated(*history, images=60, **planned_as):
    return training_seconds(*planned(images=images, **planned_as), images, history, **MACHINE)


def test_a_fresh_installation_has_a_guess_that_says_so():
    guess = estimated()
    assert guess.runs == 0 and "first guess" in guess.basis
    slower = [estimated(epochs=60), estimated(images=120), estimated(preset="encoder")]
    assert all(other.seconds > guess.seconds for other in slower)
    config, work = planned()
    assert training_seconds(config, work, 60, threads=8, half=True).seconds < guess.seconds


def test_a_training_that_was_done_before_takes_as_long_again():
    before = past(3.0)
    again = estimated(before)
    assert again.seconds == pytest.approx(LAUNCH_S + before.train_s + before.predict_s + before.rest_s)
    assert again.basis == "from the last training on this machine" and again.alike


def test_other_epochs_and_images_are_scaled():
    before = past(3.0, epochs=2, images=20)
    guess, there = estimated(), estimated(before)
    assert there.seconds - LAUNCH_S == pytest.approx(3 * (guess.seconds - LAUNCH_S))


def test_another_network_is_scaled_by_its_operations_until_it_has_a_run_of_its_own():
    other = estimated(past(2.0), preset="encoder")
    assert not other.alike and "other settings" in other.basis
    own = estimated(past(2.0), past(3.0, preset="encoder"), preset="encoder")
    assert own.alike and own.runs == 1 and own.seconds > other.seconds


def test_one_disturbed_run_among_several_does_not_count():
    calm = past(1.0)
    assert estimated(past(20.0), calm, calm).seconds == pytest.approx(estimated(calm).seconds)


def test_a_part_that_is_not_known_of_a_run_is_guessed():
    before = past(2.0)
    unknown = estimated(replace(before, rest_s=None)).seconds
    assert estimated().seconds < unknown < estimated(before).seconds


def test_early_stopping_makes_it_a_limit():
    assert estimated(epochs=30).at_most  # patience 12
    assert not estimated(epochs=5).at_most


def test_a_round_that_did_not_take_place_before_is_not_expected_again():
    rounds = config_from("fast", {"training": {"epochs": 4}, "self_training": {"rounds": 2}})
    work = workload(rounds, 60, SQUARE, True)
    assert work.rounds == 2 and training_seconds(rounds, work, 60, **MACHINE).at_most
    parts = modelled(rounds, work, 60, 4, **MACHINE)
    before = PastTraining(rounds, work, 60, 4, parts.train_s, parts.predict_s, parts.rest_s, **MACHINE)
    again = training_seconds(rounds, work, 60, [before], **MACHINE)
    assert again.seconds == pytest.approx(LAUNCH_S + parts.total_s) and not again.at_most
    assert not training_seconds(*planned(epochs=4), 60, [before], **MACHINE).at_most
