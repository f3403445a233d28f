"""A trial: a few steps of real training, to know what a run will cost before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.core.machine import peak_memory_bytes
from engine.core.run_config import RunConfig
from engine.training.compiled import training_model
from engine.training.hardware import hardware, prepare_threads
from engine.training.pipeline import training_batches, validation_batches
from engine.training.samples import Pixels, Sample, prepared

STEPS = 2
MOST_STEPS = 10
ENOUGH_S = 2.0
"""Two steps of a small network are over in no time and vary: more are taken until this much time is measured."""

ENDLESS_EPOCHS = 10_000


@dataclass(frozen=True)
class Talk:
    """How a measurement reports, `say(done, total, phase=…)`, and asks, `should_stop()` between two batches."""

    say: Callable[..., None] = lambda done, total, **report: None
    should_stop: Callable[[], bool] = lambda: False


def trial(config: RunConfig, samples: Sequence[Sample], folder: Path, talk: Talk) -> dict[str, Any]:
    """Return what a step of training and of validation takes on this machine.

    The result is {"step_s", "validation_step_s", "start_s", "steps", "batch_size", "images_per_s", "peak_bytes",
    "device_peak_bytes", "precision", "devices", "stopped"}: seconds of one step, what building the network and its
    first step took beyond that, how many steps were measured, the most memory that this process held, and the same on
    the GPU, None where there is none.

    Raises:
        TrainingError, EncoderWeightsError: training could not begin either.
    """
    machine = hardware(config.training.precision)
    prepare_threads()

    def reading(*_: int) -> None:
        talk.say(0, STEPS + 2, phase="reading_images")

    with prepared(samples, config, folder, reading) as pixels:
        train, validation = pixels
        talk.say(0, STEPS + 2, phase="building_the_network")
        began = time.perf_counter()
        model = training_model(config)
        batches = endless(config, train)
        images, targets = next(batches)
        model.train_on_batch(images, targets)
        first_s = time.perf_counter() - began
        times = _timed_steps(model, batches, talk)
        validation_s = _validation_step_s(model, config, validation, talk)
    step_s = float(np.mean(times)) if times else first_s
    return {
        "step_s": step_s,
        "validation_step_s": validation_s,
        "start_s": max(first_s - step_s, 0.0),
        "steps": len(times),
        "batch_size": int(images.shape[0]),
        "images_per_s": int(images.shape[0]) / step_s,
        "peak_bytes": peak_memory_bytes(),
        "device_peak_bytes": _device_peak_bytes(),
        "precision": machine.precision,
        "devices": list(machine.devices),
        "stopped": talk.should_stop(),
    }


def endless(config: RunConfig, pixels: Pixels):
    """Return an iterator over training batches that comes to no end within a measurement."""
    training = config.training.model_copy(update={"epochs": ENDLESS_EPOCHS})
    return iter(training_batches(config.model_copy(update={"training": training}), pixels))


def _timed_steps(model: keras.Model, batches: Any, talk: Talk) -> list[float]:
    times: list[float] = []
    while len(times) < STEPS or (sum(times) < ENOUGH_S and len(times) < MOST_STEPS):
        if talk.should_stop():
            break
        talk.say(min(len(times) + 1, STEPS), STEPS + 2, phase="training_batch", subject=len(times) + 1)
        began = time.perf_counter()
        model.train_on_batch(*next(batches))
        times.append(time.perf_counter() - began)
    return times


def _validation_step_s(model: keras.Model, config: RunConfig, validation: Pixels, talk: Talk) -> float:
    if not validation.samples or talk.should_stop():
        return 0.0
    talk.say(STEPS + 1, STEPS + 2, phase="validation_batch")
    images, targets = next(iter(validation_batches(config, validation)))
    model.test_on_batch(images, targets)  # the first builds the graph
    began = time.perf_counter()
    model.test_on_batch(images, targets)
    return time.perf_counter() - began


def _device_peak_bytes() -> int | None:
    if not tf.config.list_physical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
