"""The learning-rate range test: the loss of a network over a range of learning rates.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, doi:10.1109/WACV.2017.58, section 3.3,
with rates that rise exponentially, as is now common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.run_config import RunConfig
from engine.training.compiled import training_model
from engine.training.hardware import prepare_threads
from engine.training.samples import Sample, prepared
from engine.training.trial import Talk, endless

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 90
SMOOTHING = 0.85
"""Weight of the earlier losses: the loss differs more between batches than between neighbouring rates."""

LAG = round(SMOOTHING / (1 - SMOOTHING))
"""The number of steps by which an exponential average lags."""

REACH = 8
"""A slope is that of a line through this many steps on either side, about a decade of rates in all; between neighbours
it would be the noise of single batches."""

EXPLODED = 4.0
"""The test ends when the smoothed loss is this many times its minimum: rates beyond it break the network."""

SAFETY = 10.0
"""The suggested rate is at least this factor below that of the lowest loss, where the loss is about to rise."""

SMALLEST_FALL = 0.03
"""If the smoothed loss never fell by this share of its first value, no rate is suggested."""


def rate_range(config: RunConfig, samples: Sequence[Sample], folder: Path, talk: Talk) -> dict[str, Any]:
    """Return {"rates", "losses", "raw_losses", "suggestion", "stopped"}.

    The network takes one step at each of `rates`, which rise from 1e-6 to 1; `losses` are smoothed. `suggestion` is
    None where the loss did not fall.

    Raises:
        TrainingError, EncoderWeightsError: a training would not start either.
    """
    prepare_threads()
    rates = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    raw: list[float] = []

    def reading(*_: int) -> None:
        talk.say(0, STEPS, phase="reading_images")

    with prepared(samples, config, folder, reading) as (train, _):
        talk.say(0, STEPS, phase="building_the_network")
        model = training_model(config)
        batches = endless(config, train)
        for number, rate in enumerate(rates):
            if talk.should_stop():
                break
            model.optimizer.learning_rate = rate
            model.reset_metrics()  # the returned loss is a mean over all batches since the last reset
            raw.append(float(model.train_on_batch(*next(batches), return_dict=True)["loss"]))
            talk.say(number + 1, STEPS, phase="testing_learning_rates", learning_rate=float(rate))
            if exploded(raw):
                break
    finite = [loss for loss in raw if math.isfinite(loss)]
    losses = smoothed(finite)
    return {
        "rates": rates[: len(finite)],
        "losses": losses,
        "raw_losses": finite,
        "suggestion": suggestion(rates[: len(finite)], losses),
        "stopped": talk.should_stop(),
    }


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return the exponential moving average of `losses`, with bias correction (Kingma and Ba, 2015)."""
    average, result = 0.0, []
    for number, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        result.append(average / (1 - SMOOTHING**number))
    return result


def exploded(raw: Sequence[float]) -> bool:
    """Return whether the last loss is not finite, or the smoothed loss has risen far above its minimum."""
    if not math.isfinite(raw[-1]):
        return True
    losses = smoothed(raw)
    return losses[-1] > EXPLODED * min(losses)


def suggestion(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the rate, rounded to one digit, at which the loss falls fastest over the logarithm of the rate.

    It is computed from the smoothed loss, corrected for its lag, and limited by SAFETY. None if the loss never fell.
    """
    if len(losses) < 3:
        return None
    lowest = int(np.argmin(losses))
    if lowest < 2 or losses[lowest] > (1 - SMALLEST_FALL) * losses[0]:
        return None
    x, y = np.log(np.asarray(rates)), np.asarray(losses)
    places = range(min(REACH, lowest), lowest + 1)  # a line through fewer steps would follow noise
    slopes = [np.polyfit(x[part], y[part], 1)[0] for part in (slice(max(i - REACH, 0), i + REACH + 1) for i in places)]
    steepest = rates[max(places[int(np.argmin(slopes))] - LAG, 0)]
    return float(f"{min(steepest, rates[lowest] / SAFETY):.0e}")
