"""Which learning rate is suggested, told from losses drawn by hand."""

import numpy as np
import pytest

from engine.training.rate_range import exploded, smoothed, suggestion

RATES = np.geomspace(1e-6, 1, 90)


def valley(lowest=1e-2, width=1.0):
    """Losses that fall from 1 to 0.2 around a tenth of `lowest`, and rise after it."""
    place = np.log10(RATES) - np.log10(lowest)
    return 1 - 0.8 / (1 + np.exp(-6 * (place + width))) + 10 * np.clip(place, 0, None) ** 2


@pytest.mark.parametrize("lowest", [1e-3, 1e-2, 1e-1])
def test_the_steepest_fall_is_suggested_and_never_close_to_the_turn(lowest):
    found = suggestion(RATES, smoothed(valley(lowest)))
    assert lowest / 20 < found < lowest / 5
    assert f"{found:.0e}" == f"{found:.6e}".replace(".000000", "")
    late = valley(lowest, width=0.1)
    assert suggestion(RATES, smoothed(late)) < RATES[np.argmin(late)] / 5


def test_noise_of_single_batches_does_not_decide():
    rng = np.random.default_rng(0)
    found = [suggestion(RATES, smoothed(valley(1e-1) + rng.normal(0, 0.15, 90))) for _ in range(20)]
    assert all(1e-3 < rate < 4e-2 for rate in found)


def test_losses_that_do_not_fall_suggest_nothing():
    assert suggestion(RATES, np.ones(90)) is None
    assert suggestion(RATES, np.linspace(1, 3, 90)) is None
    assert suggestion(RATES[:2], [1.0, 0.5]) is None


def test_smoothing_begins_at_the_first_loss_and_keeps_a_constant():
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smoothed([2.0, 0.0])[0] == pytest.approx(2.0)


def test_the_test_ends_far_above_the_lowest_loss_and_at_what_is_no_number():
    assert exploded([1.0, float("nan")])
    assert not exploded([1.0, 0.5, 0.6])
    assert exploded([1.0, 0.5, *[9.0] * 20])
