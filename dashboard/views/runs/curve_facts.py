"""Judge the curves of a run: whether it still improved, settled or overfitted, and how the learning rate developed.

docs/how-to/read-a-run.md documents every rule with its numbers. The rules use smoothed curves and require a difference
that is large both in absolute terms and relative to the curve's noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.core.run_config import RunConfig
from engine.training.rate_schedule import scheduled_rate

FEWEST_EPOCHS = 6
"""With fewer epochs smoothing and noise are meaningless, and there is no verdict."""

RISE, FALL_DICE, STILL_LEARNED, NOISE = 0.05, 0.02, 0.02, 5
"""A run overfits if the validation loss rose by this share or validation Dice fell by this much, while the training
loss kept falling by this share. The first two must also be this many times the curve's noise, because the lowest of
many values is low by chance."""

GAIN, STEADY = 0.005, 0.03
"""Change of Dice over the trend's epochs from which it rises or falls, and below which it has certainly settled."""

Verdict = Literal["improving", "settled", "unclear", "falling", "overfitted", "few epochs", "no validation"]
History = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Trend:
    """A straight line through the last `epochs` values: its slope per epoch, ± `unsure` (95 % confidence)."""

    epochs: int
    per_epoch: float
    unsure: float

    @property
    def gain(self) -> float:
        """The change from the first to the last epoch of the line."""
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
class Overfit:
    """Where validation got worse while training kept improving: smoothed values at `epoch` and at the end."""

    epoch: int
    loss: tuple[float, float]
    val_loss: tuple[float, float]
    dice: tuple[float, float]
    val_dice: tuple[float, float]

    @property
    def gaps(self) -> tuple[float, float]:
        """Validation loss minus training loss, at `epoch` and at the end."""
        return self.val_loss[0] - self.loss[0], self.val_loss[1] - self.loss[1]


@dataclass(frozen=True)
class Jump:
    """An epoch whose training loss was at least twice the lowest before it."""

    epoch: int
    before: float
    after: float


@dataclass(frozen=True)
class RateCut:
    """The learning rate was cut after `epoch` because learning stalled; mean validation Dice before and after."""

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
    """Facts on the epochs of one network. `trend` is of validation Dice, None with too few epochs.

    `train_dice` is the Dice of the last epoch on the training images, None where unknown.
    """

    epochs: tuple[int, ...]
    verdict: Verdict
    trend: Trend | None
    overfit: Overfit | None
    jump: Jump | None
    rate: RatePath | None
    train_dice: float | None


def curve_facts(history: History, config: RunConfig | None, steps_per_epoch: int = 0) -> CurveFacts:
    """Return the curve facts of {epoch: {stored metric: value}}, of one round only.

    Args:
        config: the settings of the learning rate schedule; without them `rate` is None.
        steps_per_epoch: batches per epoch, 0 if unknown; the stored rate is that of the last batch.
    """
    epochs = tuple(sorted(history))
    series = {name: _series(history, epochs, name) for name in ("loss", "val_loss", "dice", "val_dice")}
    trend = last_trend(series["val_dice"])
    overfit = _overfit(epochs, series)
    return CurveFacts(
        epochs=epochs,
        verdict=_verdict(series, trend, overfit),
        trend=trend,
        overfit=overfit,
        jump=_jump(epochs, series["loss"]),
        rate=_rate_path(history, epochs, config, steps_per_epoch) if config else None,
        train_dice=float(series["dice"][-1]) if len(series["dice"]) else None,
    )


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return a curve without noise, float64 (N,): a median of 3, then a centred mean of 3 (of 5 from 15 values on).

    The median removes single outliers. At both ends the windows shrink symmetrically.
    """
    middle = _windowed(np.asarray(values, float), 1, np.median)
    return _windowed(middle, 1 if len(middle) < 15 else 2, np.mean)


def noise(values: np.ndarray) -> float:
    """Return the noise of a curve: the scaled median distance from its smoothed version (1.4826 MAD)."""
    return 1.4826 * float(np.median(np.abs(values - smoothed(values)))) if len(values) else 0.0


def last_trend(values: np.ndarray) -> Trend | None:
    """Return the least-squares line through the last quarter of a curve, at least 5 values; None with fewer."""
    count = max(5, -(-len(values) // 4))
    tail = np.asarray(values, float)[-count:]
    if len(values) < FEWEST_EPOCHS or not np.isfinite(tail).all():
        return None
    from scipy import special  # late: routes import this module when the app starts

    x = np.arange(count) - (count - 1) / 2
    spread = float(x @ x)
    slope = float(x @ tail) / spread
    rest = tail - tail.mean() - slope * x
    error = float(np.sqrt(rest @ rest / (count - 2) / spread))
    return Trend(count, slope, error * float(special.stdtrit(count - 2, 0.975)))


def _series(history: History, epochs: Sequence[int], name: str) -> np.ndarray:
    """Return one metric over the epochs; empty unless every epoch has it."""
    values = np.array([history[epoch].get(name, np.nan) for epoch in epochs], float)
    return values if len(values) and np.isfinite(values).all() else np.empty(0)


def _windowed(values: np.ndarray, reach: int, middle: Callable[..., np.ndarray]) -> np.ndarray:
    result = values.copy()
    for span in range(1, reach + 1):  # narrow windows first: wider ones replace them where they fit
        if len(values) > 2 * span:
            windows = np.lib.stride_tricks.sliding_window_view(values, 2 * span + 1)
            result[span : len(values) - span] = middle(windows, axis=1)
    return result


def _verdict(series: Mapping[str, np.ndarray], trend: Trend | None, overfit: Overfit | None) -> Verdict:
    if not len(series["val_dice"]):
        return "no validation"
    if trend is None:
        return "few epochs"
    if overfit is not None:
        return "overfitted"
    if trend.rises or trend.falls:
        return "improving" if trend.rises else "falling"
    return "settled" if trend.steady else "unclear"


def _overfit(epochs: Sequence[int], series: Mapping[str, np.ndarray]) -> Overfit | None:
    """Return where validation turned, by its loss or else by its Dice, while the training loss kept falling."""
    if len(epochs) < FEWEST_EPOCHS or any(len(values) != len(epochs) for values in series.values()):
        return None
    curves = {name: smoothed(values) for name, values in series.items()}
    loss, val_loss, val_dice = curves["loss"], curves["val_loss"], curves["val_dice"]
    by_loss, by_dice = int(np.argmin(val_loss)), int(np.argmax(val_dice))
    rise, fall = val_loss[-1] - val_loss[by_loss], val_dice[by_dice] - val_dice[-1]
    if rise >= max(RISE * abs(val_loss[by_loss]), NOISE * noise(series["val_loss"])):
        turn = by_loss
    elif fall >= max(FALL_DICE, NOISE * noise(series["val_dice"])):
        turn = by_dice
    else:
        return None
    long_ago = len(epochs) - 1 - turn >= max(3, len(epochs) // 10)
    still_learned = loss[turn] - loss[-1] >= STILL_LEARNED * abs(loss[turn])
    if not (long_ago and still_learned):
        return None
    ends = {name: (float(curve[turn]), float(curve[-1])) for name, curve in curves.items()}
    return Overfit(epochs[turn], ends["loss"], ends["val_loss"], ends["dice"], ends["val_dice"])


def _jump(epochs: Sequence[int], loss: np.ndarray) -> Jump | None:
    """Return the first epoch whose training loss is twice the lowest before it, and far outside the noise."""
    if len(loss) < 3:
        return None
    lowest = np.minimum.accumulate(loss)
    usual = noise(loss)
    for place in range(1, len(loss)):
        before = lowest[place - 1]
        if before > 0 and loss[place] >= 2 * before and loss[place] - before > NOISE * usual:
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
    """Return where the rate fell below its schedule. Only "reduce on plateau" does that, by its factor each time."""
    if not config.reduce_lr.enabled:
        return ()
    steps = max(steps_per_epoch, 1)
    # The stored rate is that of the last batch of an epoch, which starts one step before the epoch's end.
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
    """Return the means of equally many values before `place` and from it on, at most 5 each."""
    reach = min(5, place, len(values) - place)
    return float(values[place - reach : place].mean()), float(values[place : place + reach].mean())
