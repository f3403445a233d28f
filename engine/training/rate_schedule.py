"""The schedule of the learning rate: warm-up, then constant or cosine."""

from __future__ import annotations

import math

from engine.core.run_parameters import TrainingParams

FLOOR = 0.01  # share of the learning rate at the start of warm-up and at the end of the cosine


def scheduled_rate(params: TrainingParams, epochs_done: float) -> float:
    """Return the learning rate after `epochs_done` epochs, a fractional number in [0, `params.epochs`].

    Sources: Loshchilov, Hutter, "SGDR", ICLR 2017, for the cosine, without restarts; Goyal et al., "Accurate, Large
    Minibatch SGD", arXiv:1706.02677, for the linear warm-up.
    """
    warmup = min(params.warmup_epochs, params.epochs)
    if epochs_done < warmup:
        return params.learning_rate * (FLOOR + (1 - FLOOR) * epochs_done / warmup)
    if params.schedule == "constant" or params.epochs == warmup:
        return params.learning_rate
    share = (1 + math.cos(math.pi * min((epochs_done - warmup) / (params.epochs - warmup), 1.0))) / 2
    return params.learning_rate * (FLOOR + (1 - FLOOR) * share)
