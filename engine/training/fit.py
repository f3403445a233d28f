"""Train one network from samples to stored models."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from engine.core.run_config import RunConfig
from engine.network.encoder_weights import EncoderWeightsError
from engine.network.inference import ModelError
from engine.network.networks import network
from engine.store.disk import replacing, zip_is_whole
from engine.training import callbacks as steps
from engine.training import pipeline
from engine.training.callbacks import Hooks
from engine.training.class_weights import class_weights
from engine.training.compiled import Averaged, training_model
from engine.training.hardware import prepare_threads
from engine.training.samples import OtherNetwork, Pixels, Sample, TrainingError, prepared
from engine.training.state import Ended, Patience, TrainingState, load_state, save_state

log = logging.getLogger("maskloom.training")

BEST_FILE, LAST_FILE = "best.keras", "last.keras"


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    `reason` is one sentence. `best_epoch` counts from 1 and is None if the run was stopped before the first epoch was
    finished; `best_score` is the value of `checkpoint.monitor` in that epoch, `best_metrics` are all its metrics.
    `seconds` includes all attempts of a resumed run. `label_share` is the share of the labels in the masks of the
    run's images.
    """

    ended: Ended
    reason: str
    epochs_done: int
    best_epoch: int | None
    best_score: float | None
    best_metrics: dict[str, float]
    seconds: float
    parameter_count: int
    label_share: float = 0.0


def fit(
    config: RunConfig,
    samples: Sequence[Sample],
    folder: Path,
    hooks: Hooks | None = None,
    probes_in: Path | None = None,
    start: Callable[[], keras.Model] | None = None,
) -> FitResult:
    """Train, and write best.keras and last.keras to `folder`, and predictions for probe images there or to `probes_in`.

    If an earlier attempt in the folder was interrupted or stopped, it is resumed after its last finished epoch, with
    its weights, optimizer, learning rate and state of early stopping. A run that has ended is not trained again.

    Args:
        start: loads the network whose weights the first epoch begins with, in place of the usual ones.

    Raises:
        TrainingError: nothing to train on, a damaged file, or a loss that became NaN before any epoch was done.
        OtherNetwork: the run began with a version that built its network otherwise.
    """
    hooks = hooks or Hooks()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        state, arrays = load_state(folder)
    except ValueError as error:
        raise TrainingError(str(error)) from None
    stored = _StoredModels(config, folder, probes_in or folder)
    if state.checkpoint.best_epoch and not zip_is_whole(folder / BEST_FILE):
        _replace_best(state, stored)
    if state.ended:
        return _result(state, stored)

    prepare_threads()
    began = time.monotonic() - state.seconds
    with prepared(samples, config, folder, hooks.on_prepare) as (train, validation):
        try:
            begin = start() if start and not arrays else None
            fresh = not arrays and begin is None
            model = training_model(config, fresh, class_weights(config.training.class_weights, train), begin)
        except EncoderWeightsError as error:
            raise TrainingError(str(error)) from None
        except ModelError as error:
            raise TrainingError(f"There are no weights to start from. {error}") from None
        _restore(model, arrays, state)
        hooks.on_start(state.epoch)
        _train(config, model, train, validation, state, stored, hooks, began)
        state.seconds = time.monotonic() - began
    _conclude(config, model, state, stored)
    return _result(state, stored)


def _train(
    config: RunConfig,
    model: keras.Model,
    train: Pixels,
    validation: Pixels,
    state: TrainingState,
    stored: _StoredModels,
    hooks: Hooks,
    began: float,
) -> None:
    averaged = Averaged(model)

    def save_last(epoch: int, metrics: steps.Metrics) -> None:
        state.seconds = time.monotonic() - began
        if config.checkpoint.save_last:
            stored.save(model, LAST_FILE)
            with averaged.out():
                save_state(stored.folder, state, _arrays(model))

    after_epoch: list[steps.EpochStep] = [
        steps.KeepBest(config.checkpoint.monitor, state, lambda: stored.save(model, BEST_FILE), hooks.on_best),
        steps.Probes(stored.probes_in, (validation, train), model.predict_on_batch, hooks.epoch_offset),
    ]
    if config.early_stopping.enabled:
        after_epoch.append(steps.StopEarly(config.early_stopping, state))
    if config.reduce_lr.enabled:
        after_epoch.append(steps.ReduceRate(config.reduce_lr, config.training.learning_rate, state))
    if config.training.tensorboard:
        after_epoch.append(steps.EventFiles(stored.folder))
    # The state is saved last, so that an epoch that was not reported completely is repeated and never lost
    after_epoch += [hooks.on_epoch, save_last]

    count, per_epoch = pipeline.batch_size(config, train), pipeline.steps_per_epoch(config, train)
    batches = steps.Batches(config.training, state, hooks, train.squares, count, per_epoch)
    model.fit(
        pipeline.training_batches(config, train, state.epoch),
        initial_epoch=state.epoch,
        epochs=config.training.epochs,
        steps_per_epoch=per_epoch,
        validation_data=pipeline.validation_batches(config, validation) if validation.samples else None,
        callbacks=[batches, steps.Epochs(state, after_epoch, averaged)],
        shuffle=False,
        verbose=0,
    )


def _replace_best(state: TrainingState, stored: _StoredModels) -> None:
    """Replace the best model, which is damaged or missing, by the last one: a run must end with a model.

    The last model's score is not known here, so any further epoch counts as better.
    """
    intact = zip_is_whole(stored.folder / LAST_FILE)
    log.warning("%s is damaged; %s replaces it.", BEST_FILE, LAST_FILE if intact else "the next epoch's model")
    if intact:
        stored.copy(LAST_FILE, BEST_FILE)
    state.checkpoint = Patience(best_epoch=state.epoch if intact else 0)
    state.best_metrics = {}


def _conclude(config: RunConfig, model: keras.Model, state: TrainingState, stored: _StoredModels) -> None:
    """Set the reason for the end, and make sure that there are usable models."""
    best = state.checkpoint.best_epoch or None
    if not state.ended:
        state.ended = "finished"
        epochs = config.training.epochs
        state.reason = f"All {epochs} epochs are done." if epochs > 1 else "The only epoch is done."
    if state.ended == "nan":
        advice = f"Lower the learning rate (now {config.training.learning_rate:g}) or choose another loss."
        if best is None:
            raise TrainingError(f"The loss became NaN in epoch {state.epoch + 1}, so there is no model. {advice}")
        state.reason = f"The loss became NaN in epoch {state.epoch + 1}; the model of epoch {best} is kept. {advice}"
    elif state.ended == "stopped":
        state.reason = f"Stopped by a person after {state.epoch} of {config.training.epochs} epochs."
        if not state.epoch:
            state.reason = (
                "Stopped by a person before its first epoch was finished. There is no model yet: resume it to get one."
            )
    if best is None:
        stored.save(model, BEST_FILE)
        stored.save(model, LAST_FILE)
    if state.ended == "early" and config.early_stopping.restore_best_weights:
        stored.copy(BEST_FILE, LAST_FILE)
    if state.ended != "stopped":  # will not be resumed, so the optimizer's arrays are not needed
        save_state(stored.folder, state, {})


def _result(state: TrainingState, stored: _StoredModels) -> FitResult:
    return FitResult(
        ended=state.ended,
        reason=state.reason,
        epochs_done=state.epoch,
        best_epoch=state.checkpoint.best_epoch or None,
        best_score=state.checkpoint.best,
        best_metrics=state.best_metrics,
        seconds=state.seconds,
        parameter_count=stored.parameter_count,
    )


class _StoredModels:
    """Writes the network as a float32 Keras model without optimizer, custom classes and bfloat16."""

    def __init__(self, config: RunConfig, folder: Path, probes_in: Path) -> None:
        self.folder, self.probes_in = folder, probes_in
        self._plain = network(config.model)
        self.parameter_count: int = self._plain.count_params()

    def save(self, model: keras.Model, name: str) -> None:
        self._plain.set_weights(model.get_weights())
        with replacing(self.folder / name) as beside:
            self._plain.save(beside)

    def copy(self, source: str, target: str) -> None:
        with replacing(self.folder / target) as beside:
            beside.write_bytes((self.folder / source).read_bytes())


def _arrays(model: keras.Model) -> dict[str, np.ndarray]:
    weights = {f"weight{index}": _array(variable) for index, variable in enumerate(model.variables)}
    moments = {f"optimizer{index}": _array(variable) for index, variable in enumerate(model.optimizer.variables)}
    return weights | moments


def _array(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(tf.convert_to_tensor(variable.value))  # with several GPUs a value has copies


def _restore(model: keras.Model, arrays: dict[str, np.ndarray], state: TrainingState) -> None:
    if not arrays:
        return
    variables = {f"weight{index}": variable for index, variable in enumerate(model.variables)}
    variables |= {f"optimizer{index}": variable for index, variable in enumerate(model.optimizer.variables)}
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        kept = " Its best model is kept and still predicts." if state.checkpoint.best_epoch else ""
        raise OtherNetwork(
            "This run began with another version of Maskloom, which built its network otherwise, so it cannot be "
            f"resumed.{kept} To train with the same settings, duplicate the run."
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
