"""The curve facts on synthetic curves with known answers, and on arbitrary numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.views.runs.curve_facts import curve_facts, last_trend, smoothed
from dashboard.views.runs.curve_facts import noise as curve_noise
from engine.core.run_config import RunConfig, config_from
from engine.training.rate_schedule import scheduled_rate

CONFIG = config_from("fast", {"training": {"epochs": 40, "schedule": "constant"}})


def history(val_dice, val_loss=None, loss=None, dice=None, rates=None):
    """Return synthetic curves as they are stored; those left out follow the validation Dice."""
    val_dice = np.asarray(val_dice, float)
    curves = {
        "val_dice": val_dice,
        "val_loss": 1 - val_dice if val_loss is None else np.asarray(val_loss, float),
        "loss": 1 - val_dice if loss is None else np.asarray(loss, float),
        "dice": val_dice if dice is None else np.asarray(dice, float),
        "learning_rate": np.full(len(val_dice), 1e-3) if rates is None else np.asarray(rates, float),
    }
    return {n + 1: {name: float(curve[n]) for name, curve in curves.items()} for n in range(len(val_dice))}


def saturating(count, level=0.8, pace=4.0):
    return level * (1 - np.exp(-np.arange(1, count + 1) / pace))


def noise(count, size=0.004, seed=0):
    return np.random.default_rng(seed).normal(0, size, count)


def test_overfitting_is_found_with_the_epoch_where_it_began():
    epochs = np.arange(1, 41)
    val_loss = 0.5 + 0.0008 * (epochs - 15.0) ** 2 + noise(40, 0.01)
    loss = 0.9 * np.exp(-epochs / 12) + noise(40, 0.005, seed=1)
    val_dice = np.where(epochs < 15, 0.05 * epochs, 0.75 - 0.003 * (epochs - 15))
    facts = curve_facts(history(val_dice, val_loss, loss), CONFIG)
    assert facts.verdict == "overfitted"
    assert abs(facts.overfit.epoch - 15) <= 4
    assert facts.overfit.val_loss[1] > 1.5 * facts.overfit.val_loss[0]
    assert facts.overfit.gaps[1] > facts.overfit.gaps[0] + 0.3


def test_validation_that_only_loses_dice_is_overfitting_too():
    epochs = np.arange(1, 31)
    val_dice = np.where(epochs < 10, 0.08 * epochs, 0.8 - 0.006 * (epochs - 10))
    facts = curve_facts(history(val_dice, np.full(30, 0.4), 0.9 * np.exp(-epochs / 10)), CONFIG)
    assert facts.verdict == "overfitted" and abs(facts.overfit.epoch - 10) <= 2


def test_a_rising_validation_loss_without_training_progress_is_no_overfitting():
    epochs = np.arange(1, 31)
    val_loss = np.where(epochs < 10, 1.0, 1.0 + 0.02 * (epochs - 10))
    facts = curve_facts(history(np.full(30, 0.5), val_loss, np.full(30, 0.7)), CONFIG)
    assert facts.overfit is None


def test_chance_is_rarely_reported_as_a_fact():
    verdicts = []
    for seed in range(60):
        val_loss = 0.4 + noise(40, 0.03, seed)
        curves = history(0.7 + noise(40, 0.02, 100 + seed), val_loss, 0.9 * np.exp(-np.arange(40) / 12))
        verdicts.append(curve_facts(curves, CONFIG).verdict)
    assert verdicts.count("overfitted") <= 2
    assert verdicts.count("improving") + verdicts.count("falling") <= 8


def test_a_single_outlier_epoch_is_no_overfitting():
    val_loss = 1 - saturating(30)
    val_loss[29] = 5.0
    assert curve_facts(history(saturating(30), val_loss), CONFIG).overfit is None


def test_a_plateau_has_settled():
    facts = curve_facts(history(saturating(40) + noise(40, 0.002)), CONFIG)
    assert facts.verdict == "settled" and abs(facts.trend.per_epoch) < 0.002


def test_a_rising_curve_is_improving_by_its_slope():
    facts = curve_facts(history(0.3 + 0.01 * np.arange(30) + noise(30, 0.003)), CONFIG)
    assert facts.verdict == "improving"
    assert facts.trend.epochs == 8
    assert facts.trend.per_epoch == pytest.approx(0.01, abs=facts.trend.unsure + 1e-9)


def test_a_falling_curve_is_reported():
    facts = curve_facts(history(0.8 - 0.01 * np.arange(30), val_loss=np.full(30, 0.4), loss=np.full(30, 0.4)), CONFIG)
    assert facts.verdict == "falling"


def test_noise_that_hides_the_trend_is_unclear():
    up_and_down = 0.5 + 0.08 * (-1.0) ** np.arange(20)
    assert curve_facts(history(up_and_down), CONFIG).verdict == "unclear"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_epochs_have_no_verdict(count):
    facts = curve_facts(history(saturating(count)), CONFIG)
    assert facts.verdict == "few epochs" and facts.trend is None and facts.overfit is None


def test_without_validation_there_is_no_verdict():
    bare = {epoch: {"loss": 1 / epoch, "dice": 0.5, "learning_rate": 1e-3} for epoch in range(1, 20)}
    facts = curve_facts(bare, CONFIG)
    assert facts.verdict == "no validation" and facts.overfit is None


def test_a_jump_of_the_loss_is_found_where_it_is():
    loss = 0.9 * np.exp(-np.arange(30) / 10)
    loss[17:] += 2.0
    jump = curve_facts(history(saturating(30), loss=loss), CONFIG).jump
    assert jump.epoch == 18 and jump.before == pytest.approx(loss[16]) and jump.after == pytest.approx(loss[17])
    assert curve_facts(history(saturating(30)), CONFIG).jump is None


def plateau_config(schedule, warmup=0.0):
    return config_from(
        "fast",
        {"training": {"epochs": 40, "schedule": schedule, "warmup_epochs": warmup}, "reduce_lr": {"enabled": True}},
    )


@pytest.mark.parametrize(
    ("schedule", "warmup"), [("constant", 0.0), ("cosine", 0.0), ("cosine", 3.0), ("constant", 5.0)]
)
def test_a_cut_is_distinguished_from_its_schedule(schedule, warmup):
    config, steps = plateau_config(schedule, warmup), 20
    planned = np.array([scheduled_rate(config.training, place + (steps - 1) / steps) for place in range(30)])
    assert curve_facts(history(saturating(30), rates=planned), config, steps).rate.cuts == ()
    dice = np.where(np.arange(30) < 12, 0.6, 0.7)
    cut = planned * np.where(np.arange(30) < 12, 1.0, 0.5)
    found = curve_facts(history(dice, rates=cut), config, steps).rate.cuts
    assert [each.epoch for each in found] == [12]
    assert found[0].dice == (pytest.approx(0.6), pytest.approx(0.7)) and found[0].helped


def test_a_cut_that_changed_nothing_did_not_help():
    rates = np.where(np.arange(30) < 12, 1e-3, 5e-4)
    found = curve_facts(history(np.full(30, 0.6), rates=rates), plateau_config("constant")).rate.cuts
    assert [each.helped for each in found] == [False]


def test_smoothing_keeps_lines_and_removes_outliers():
    line = np.linspace(0, 1, 20)
    assert np.allclose(smoothed(line), line) and curve_noise(line) == pytest.approx(0, abs=1e-12)
    line[9] = 50.0
    assert smoothed(line).max() < 2


def test_the_trend_of_a_straight_line_is_exact():
    trend = last_trend(np.arange(12) * 0.01)
    assert trend.per_epoch == pytest.approx(0.01) and trend.unsure == pytest.approx(0, abs=1e-9)


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32) | st.floats(0, 1)
names = st.sampled_from(["loss", "val_loss", "dice", "val_dice", "learning_rate", "other"])


@settings(max_examples=150)
@given(st.dictionaries(st.integers(1, 60), st.dictionaries(names, numbers, max_size=6), max_size=40), st.booleans())
def test_no_stored_numbers_break_it(stored, cuts):
    with np.errstate(all="raise", under="ignore"):
        facts = curve_facts(stored, plateau_config("cosine") if cuts else RunConfig())
    assert facts.epochs == tuple(sorted(stored))
