"""What the curves of a run say: whether it still improved, settled or parted, and what became of the learning rate.

Every rule is written down in docs/how-to/read-a-run.md, with its numbers. They judge smoothed curves and ask for a
difference that is large both in itself and against the curve's own jitter, so that a wiggle is never told as a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from engine.core.run_config import RunConfig
from engine.training.rate_schedule import scheduled_rate

FEWEST_EPOCHS = 6
"""With fewer, smoothing and jitter mean nothing, and no verdict is given."""

RISE, FALL_DICE, LEARNED_ON, JITTERS = 0.05, 0.02, 0.02, 5
"""Share by which the validation loss has to rise, Dice by which validation has to fall, and share by which the training
loss has to go on falling, for training and validation to have parted. The first two also have to be so many times the
curve's jitter: the lowest of many values is low by chance."""

GAIN, STEADY = 0.005, 0.03
"""Dice that has to be won or lost in a trend's epochs for it to rise or fall, and that a settled one surely did not."""

Verdict = Literal["improving", "settled", "unclear", "falling", "parted", "few epochs", "no validation"]
History = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Trend:
    """A straight line through the last `epochs` values: what they rise in an epoch, known to ± `unsure` (95 %)."""

    epochs: int
    per_epoch: float
    unsure: float

    @property
    def gain(self) -> float:
        """What the line rises from the first to the last of its epochs."""
        return self.per_epoch * (self.epochs - 1)

    @property
    def rises(self) -> bool:
        return self.gain >= GAIN and self.per_epoch > self.unsure

    @property
    def falls(self) -> bool:
        return self.gain <= -GAIN and self.per_epoch < -self.unsure

    @property
    def steady(self) -> bool:
        return (abs(self.per_epoch) + self.unsure) * (self.epochs - 1) < STEADY


@dataclass(frozen=True)
class Parting:
    """Where validation turned while training went on learning: smoothed values at `epoch` and at the end."""

    epoch: int
    loss: tuple[float, float]
    val_loss: tuple[float, float]
    dice: tuple[float, float]
    val_dice: tuple[float, float]

    @property
    def gaps(self) -> tuple[float, float]:
        """How much higher the validation loss was than the training loss, then and at the end."""
        return self.val_loss[0] - self.loss[0], self.val_loss[1] - self.loss[1]


@dataclass(frozen=True)
class Jump:
    """An epoch whose training loss was at least twice the lowest before it."""

    epoch: int
    before: float
    after: float


@dataclass(frozen=True)
class RateCut:
    """The learning rate was lowered after `epoch` because learning stalled; mean validation Dice before and after."""

    epoch: int
    before: float
    after: float
    dice: tuple[float, float] | None

    @property
    def helped(self) -> bool | None:
        return None if self.dice is None else self.dice[1] - self.dice[0] >= GAIN


@dataclass(frozen=True)
class RatePath:
    """The learning rate of the first and the last epoch, its highest, and the cuts on top of its schedule."""

    first: float
    highest: float
    last: float
    cuts: tuple[RateCut, ...]


@dataclass(frozen=True)
class CurveFacts:
    """What the epochs of one network say. `trend` is of validation Dice, None with too few epochs.

    `taught_dice` is the Dice of the last epoch on the images that the network learns from, None where it is not known.
    """

    epochs: tuple[int, ...]
    verdict: Verdict
    trend: Trend | None
    parting: Parting | None
    jump: Jump | None
    rate: RatePath | None
    taught_dice: float | None


def curve_facts(history: History, config: RunConfig | None, steps_per_epoch: int = 0) -> CurveFacts:
    """Return what a network's epochs say: {epoch: {stored metric: value}}, of one round only.

    Args:
        config: the settings that planned the learning rate; without them nothing is said of it.
        steps_per_epoch: batches of an epoch, as far as known: the rate that is stored is that of the last one.
    """
    epochs = tuple(sorted(history))
    series = {name: _series(history, epochs, name) for name in ("loss", "val_loss", "dice", "val_dice")}
    trend = last_trend(series["val_dice"])
    parting = _parting(epochs, series)
    return CurveFacts(
        epochs=epochs,
        verdict=_verdict(series, trend, parting),
        trend=trend,
        parting=parting,
        jump=_jump(epochs, series["loss"]),
        rate=_rate_path(history, epochs, config, steps_per_epoch) if config else None,
        taught_dice=float(series["dice"][-1]) if len(series["dice"]) else None,
    )


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return a curve without its jitter, float64 (N,): a median of 3, then a centred mean of 3 (of 5 from 15 on).

    The median takes single outliers away. At both ends the windows are as wide as the curve allows on both sides.
    """
    middle = _windowed(np.asarray(values, float), 1, np.median)
    return _windowed(middle, 1 if len(middle) < 15 else 2, np.mean)


def jitter(values: np.ndarray) -> float:
    """Return how far a curve strays from its smoothed self: the scaled median of the distances (1.4826 MAD)."""
    return 1.4826 * float(np.median(np.abs(values - smoothed(values)))) if len(values) else 0.0


def last_trend(values: np.ndarray) -> Trend | None:
    """Return the least-squares line through the last quarter of a curve, at least 5 values; None with fewer."""
    count = max(5, -(-len(values) // 4))
    tail = np.asarray(values, float)[-count:]
    if len(values) < FEWEST_EPOCHS or not np.isfinite(tail).all():
        return None
    x = np.arange(count) - (count - 1) / 2
    spread = float(x @ x)
    slope = float(x @ tail) / spread
    rest = tail - tail.mean() - slope * x
    error = float(np.sqrt(rest @ rest / (count - 2) / spread))
    return Trend(count, slope, error * float(stats.t.ppf(0.975, count - 2)))


def _series(history: History, epochs: Sequence[int], name: str) -> np.ndarray:
    """Return one metric over the epochs; empty where it is not known throughout."""
    values = np.array([history[epoch].get(name, np.nan) for epoch in epochs], float)
    return values if len(values) and np.isfinite(values).all() else np.empty(0)


def _windowed(values: np.ndarray, reach: int, middle: Callable[..., np.ndarray]) -> np.ndarray:
    made = values.copy()
    for span in range(1, reach + 1):  # narrow windows first: wider ones replace them where they fit
        if len(values) > 2 * span:
            windows = np.lib.stride_tricks.sliding_window_view(values, 2 * span + 1)
            made[span : len(values) - span] = middle(windows, axis=1)
    return made


def _verdict(series: Mapping[str, np.ndarray], trend: Trend | None, parting: Parting | None) -> Verdict:
    if not len(series["val_dice"]):
        return "no validation"
    if trend is None:
        return "few epochs"
    if parting is not None:
        return "parted"
    if trend.rises or trend.falls:
        return "improving" if trend.rises else "falling"
    return "settled" if trend.steady else "unclear"


def _parting(epochs: Sequence[int], series: Mapping[str, np.ndarray]) -> Parting | None:
    """Return where validation turned, by its loss or else by its Dice, while the training loss went on falling."""
    if len(epochs) < FEWEST_EPOCHS or any(len(values) != len(epochs) for values in series.values()):
        return None
    curves = {name: smoothed(values) for name, values in series.items()}
    loss, val_loss, val_dice = curves["loss"], curves["val_loss"], curves["val_dice"]
    by_loss, by_dice = int(np.argmin(val_loss)), int(np.argmax(val_dice))
    rise, fall = val_loss[-1] - val_loss[by_loss], val_dice[by_dice] - val_dice[-1]
    if rise >= max(RISE * abs(val_loss[by_loss]), JITTERS * jitter(series["val_loss"])):
        turn = by_loss
    elif fall >= max(FALL_DICE, JITTERS * jitter(series["val_dice"])):
        turn = by_dice
    else:
        return None
    long_ago = len(epochs) - 1 - turn >= max(3, len(epochs) // 10)
    learned_on = loss[turn] - loss[-1] >= LEARNED_ON * abs(loss[turn])
    if not (long_ago and learned_on):
        return None
    ends = {name: (float(curve[turn]), float(curve[-1])) for name, curve in curves.items()}
    return Parting(epochs[turn], ends["loss"], ends["val_loss"], ends["dice"], ends["val_dice"])


def _jump(epochs: Sequence[int], loss: np.ndarray) -> Jump | None:
    """Return the first epoch whose training loss is twice the lowest before, and far outside the jitter."""
    if len(loss) < 3:
        return None
    lowest = np.minimum.accumulate(loss)
    noise = jitter(loss)
    for place in range(1, len(loss)):
        before = lowest[place - 1]
        if before > 0 and loss[place] >= 2 * before and loss[place] - before > 5 * noise:
            return Jump(epochs[place], float(before), float(loss[place]))
    return None


def _rate_path(history: History, epochs: Sequence[int], config: RunConfig, steps_per_epoch: int) -> RatePath | None:
    rates = _series(history, epochs, "learning_rate")
    if not len(rates):
        return None
    cuts = _cuts(history, epochs, rates, config, steps_per_epoch)
    return RatePath(float(rates[0]), float(rates.max()), float(rates[-1]), cuts)


def _cuts(
    history: History, epochs: Sequence[int], rates: np.ndarray, config: RunConfig, steps_per_epoch: int
) -> tuple[RateCut, ...]:
    """Return where the rate fell below its schedule. Only "reduce on plateau" does that, by its factor at a time."""
    if not config.reduce_lr.enabled:
        return ()
    steps = max(steps_per_epoch, 1)
    # The last batch of an epoch sets the rate that is stored, and it begins a step before the epoch's end.
    planned = [scheduled_rate(config.training, place + (steps - 1) / steps) for place in range(len(epochs))]
    factors = rates / np.maximum(planned, 1e-30)
    dice = _series(history, epochs, "val_dice")
    cuts = []
    for place in range(1, len(epochs)):
        if factors[place] < factors[place - 1] * (1 + config.reduce_lr.factor) / 2:
            means = _around(dice, place) if len(dice) else None
            cuts.append(RateCut(epochs[place - 1], float(rates[place - 1]), float(rates[place]), means))
    return tuple(cuts)


def _around(values: np.ndarray, place: int) -> tuple[float, float]:
    """Return the means of as many values before `place` as from it on, at most 5."""
    reach = min(5, place, len(values) - place)
    return float(values[place - reach : place].mean()), float(values[place : place + reach].mean())
