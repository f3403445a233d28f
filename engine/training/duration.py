"""How long a training takes, before it begins: from its settings and images, corrected by earlier trainings here.

A model of the parts of a training, with the speeds of one machine, gives a first guess. Each earlier training is
compared with what the model says of it, part by part, so that one run is enough to correct it for another machine, and
settings that no run had are scaled by their operations, images and epochs. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.core import machine
from engine.core.network_parameters import ModelParams
from engine.core.run_config import RunConfig
from engine.network.plan import network_plan
from engine.training.workload import Workload

GFLOPS_PER_CORE = {"unet": 110.0, "residual": 95.0, "attention": 80.0, "mobilenet_v2": 110.0}
"""Operations of one core in a second, in 1e9, while it trains in half precision, measured on two cores of an AMD EPYC
with AVX-512 BF16."""
FLOAT32_SHARE = 0.6
"""The speed in float32, as a share of that in half precision where the processor supports this."""

LAUNCH_S = 2.0
"""From the click to a worker that has the job."""
START_S = 8.0
"""TensorFlow, and the rows of the run."""
BUILD_S = {"unet": 6.0, "residual": 8.0, "attention": 9.0, "mobilenet_v2": 12.0}
"""The network and its graph, once in each round."""
READ_S = 0.02
EPOCH_S = {"unet": 0.4, "residual": 0.4, "attention": 0.4, "mobilenet_v2": 1.2}
"""Storing the network and its state after an epoch."""
PREDICT_START_S = 3.0
PREDICTED_S = 0.12
"""Reading an image, and refining, scoring and storing its mask."""
CORRECTED_S = 0.3
"""Refining, assessing and storing an image's label between two rounds."""

MOST_RUNS = 5
LEAST_RATIO, GREATEST_RATIO = 1 / 50, 50.0


@dataclass(frozen=True)
class Estimate:
    """How many seconds a training takes from the click to its last score.

    It is at most that where it may end early and no earlier training says how soon such trainings end.

    `runs` is the number of earlier trainings that it was estimated from; 0 is a guess from the processor alone.
    `alike` says that these had the same network at the same size.
    """

    seconds: float
    runs: int
    alike: bool
    at_most: bool

    @property
    def basis(self) -> str:
        """What it was estimated from, in words."""
        if not self.runs:
            return "a first guess for this machine; the next ones know how long this training took"
        count = "the last training" if self.runs == 1 else f"the last {self.runs} trainings"
        return f"from {count} on this machine" + ("" if self.alike else ", which had other settings")


@dataclass(frozen=True)
class PastTraining:
    """A finished training. `rest_s` is what its job took before, between and after rounds, without the prediction.

    `epochs` are those of all rounds that took place; `images` were predicted at the end, in `predict_s`. A part is None
    where it is not known. `half` and `threads` are those of its hardware.
    """

    config: RunConfig
    work: Workload
    images: int
    epochs: int
    train_s: float
    predict_s: float | None
    rest_s: float | None
    half: bool
    threads: int


@dataclass(frozen=True)
class Parts:
    """Seconds of a training by part."""

    rest_s: float
    train_s: float
    predict_s: float

    @property
    def total_s(self) -> float:
        return self.rest_s + self.train_s + self.predict_s


def training_seconds(
    config: RunConfig,
    work: Workload,
    images: int,
    history: Sequence[PastTraining] = (),
    *,
    threads: int | None = None,
    half: bool | None = None,
) -> Estimate:
    """Return how long a training takes, start-up, validation, prediction and scores included.

    One that may end early is given the share of its epochs that earlier ones had, or all epochs if there is none.

    Args:
        config: the settings, `work` their workload.
        images: the number of images of the dataset, all of which are predicted at the end.
        history: earlier trainings of this machine, newest first.
        threads: of the processor; None is those of this machine.
        half: whether it multiplies in 16 bits; None is what the settings mean on this machine.
    """
    threads = threads or processor_threads()
    half = multiplies_half(config.training.precision) if half is None else half
    similar, alike = _similar(config, history)
    early = [past for past in similar if may_end_early(past.config, past.work)] if may_end_early(config, work) else []
    share = statistics.median([past.epochs / (past.work.epochs * past.work.rounds) for past in early] or [1.0])
    epochs = max(round(work.epochs * work.rounds * share), 1)
    guess = modelled(config, work, images, epochs, threads, half)
    seconds = sum(
        getattr(guess, part) * _usual_ratio([_ratio(past, part) for past in similar])
        for part in ("rest_s", "train_s", "predict_s")
    )
    seconds += LAUNCH_S
    return Estimate(seconds, len(similar), alike, at_most=may_end_early(config, work) and not early)


def may_end_early(config: RunConfig, work: Workload) -> bool:
    """Return whether a training may end before the last of its epochs: by early stopping, or without a later round."""
    return work.rounds > 1 or (config.early_stopping.enabled and config.early_stopping.patience < work.epochs)


def modelled(config: RunConfig, work: Workload, images: int, epochs: int, threads: int, half: bool) -> Parts:
    """Return the parts of a training of `epochs` epochs, over all its rounds, on the reference machine."""
    kind = config.model.architecture
    rounds = max(math.ceil(epochs / max(work.epochs, 1)), 1)
    forward = _flops(config.model) / 1e9 / (GFLOPS_PER_CORE[kind] * threads * (1 if half else FLOAT32_SHARE))
    # The backward pass takes twice the operations of the forward pass
    epoch_s = (3 * work.train_squares + work.validation_squares) * forward + EPOCH_S[kind]
    trained = work.train_images + work.validation_images
    squares = (work.train_squares + work.validation_squares) / max(trained, 1)
    passes = 4 if config.prediction.flips else 2  # the second tells how well a mask agrees with its mirror
    between_s = trained * (CORRECTED_S + squares * forward) * rounds if config.self_training.rounds > 1 else 0.0
    return Parts(
        rest_s=START_S + between_s,
        train_s=rounds * (BUILD_S[kind] + READ_S * trained) + epochs * epoch_s,
        predict_s=PREDICT_START_S + images * (PREDICTED_S + passes * squares * forward),
    )


def processor_threads() -> int:
    """Return how many threads this process may run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def multiplies_half(precision: str) -> bool:
    """Return whether `training.precision` means 16 bits on this machine's processor."""
    return precision.startswith("mixed") or (precision == "auto" and machine.multiplies_bfloat16())


def _similar(config: RunConfig, history: Sequence[PastTraining]) -> tuple[list[PastTraining], bool]:
    """Return the trainings to learn from, and whether they had the same network at the same size."""
    same = [past for past in history if past.config.model.architecture == config.model.architecture]
    equal = [past for past in same if past.config.model.image_size == config.model.image_size]
    return (equal or same or list(history))[:MOST_RUNS], bool(equal)


def _ratio(past: PastTraining, part: str) -> float | None:
    """Return how much longer a part took than the model says; None if it is not known."""
    took = getattr(past, part)
    if took is None or took <= 0:
        return None
    guess = modelled(past.config, past.work, past.images, past.epochs, past.threads, past.half)
    return min(max(took / getattr(guess, part), LEAST_RATIO), GREATEST_RATIO)


def _usual_ratio(ratios: Sequence[float | None]) -> float:
    known = [ratio for ratio in ratios if ratio is not None]
    return statistics.median(known) if known else 1.0


@lru_cache(maxsize=64)
def _plan_flops(params_json: str) -> int:
    return network_plan(ModelParams.model_validate_json(params_json)).flops


def _flops(params: ModelParams) -> int:
    return _plan_flops(params.model_dump_json())
