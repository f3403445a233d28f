"""Keras callbacks of a training, and the steps after each epoch.

There are two callbacks: one controls the batches, one calls the steps after an epoch in order. A step is called with
the epoch (counted from 1) and its metrics, and stores what must survive a restart in the `TrainingState`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from engine.core.run_parameters import EarlyStoppingParams, ReduceLRParams, TrainingParams
from engine.imaging import class_maps
from engine.imaging.codec import encode_png, fit_longest_side, resize_probability
from engine.imaging.metrics import probability_to_u8
from engine.network.framing import Canvas, cut, windows
from engine.network.keras_metrics import ABSENT
from engine.network.outputs import foreground
from engine.store.disk import replacing
from engine.store.keys import probe_classes_path, probe_path
from engine.training.compiled import Averaged
from engine.training.rate_schedule import scheduled_rate
from engine.training.run_details import metric_in_words
from engine.training.samples import Pixels
from engine.training.state import Patience, TrainingState

PROBE_PX = 256

Metrics = dict[str, float]
EpochStep = Callable[[int, Metrics], None]


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Hooks:
    """Functions that `fit` calls. Epochs are counted from 1.

    `on_prepare(done, total)` while images are decoded; `on_start(epochs_done)` once, before the first batch;
    `on_batch(epoch, images_done, images_total)`; `on_best(epoch, metrics)` when the model of the best
    epoch so far is stored; `on_epoch(epoch, metrics)` after every epoch; `on_judge(done, total)` while the masks of a
    finished round are assessed; `should_stop()` after every batch. `epoch_offset` is the number of epochs in earlier
    rounds.
    """

    on_prepare: Callable[[int, int], None] = _nothing
    on_start: Callable[[int], None] = _nothing
    on_batch: Callable[[int, int, int], None] = _nothing
    on_best: Callable[[int, Metrics], None] = _nothing
    on_epoch: Callable[[int, Metrics], None] = _nothing
    on_judge: Callable[[int, int], None] = _nothing
    should_stop: Callable[[], bool] = lambda: False
    epoch_offset: int = 0


def monitored(monitor: str, metrics: Metrics) -> tuple[str, float]:
    """Return the monitored metric and its value; without validation images, the training metric of the same name."""
    name = monitor if monitor in metrics else monitor.removeprefix("val_")
    return name, metrics[name]


class Batches(keras.callbacks.Callback):
    """Sets the learning rate, reports progress, and ends training on request or if the loss is not finite."""

    def __init__(
        self, params: TrainingParams, state: TrainingState, hooks: Hooks, images: int, batch_size: int, steps: int
    ) -> None:
        super().__init__()
        self._params, self._state, self._hooks = params, state, hooks
        self._images, self._batch_size, self._steps = images, batch_size, steps
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Metrics | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Metrics | None = None) -> None:
        rate = scheduled_rate(self._params, self._epoch + batch / self._steps)
        self.model.optimizer.learning_rate = rate * self._state.rate_factor

    def on_train_batch_end(self, batch: int, logs: Metrics | None = None) -> None:
        done = min((batch + 1) * self._batch_size, self._images)
        self._hooks.on_batch(self._epoch + 1, done, self._images)
        if not math.isfinite((logs or {})["loss"]):
            self._state.ended = "nan"
        self._stop_if_requested()

    def on_test_batch_end(self, batch: int, logs: Metrics | None = None) -> None:
        self._stop_if_requested()

    def _stop_if_requested(self) -> None:
        if self._hooks.should_stop() and not self._state.ended:
            self._state.ended = "stopped"
        if self._state.ended:
            self.model.stop_training = self.model.stop_evaluating = True


class Epochs(keras.callbacks.Callback):
    """Calls the steps after each epoch that was trained and validated completely.

    If a run has a moving average of its weights, validation and the steps use the average.
    """

    def __init__(self, state: TrainingState, steps: Sequence[EpochStep], averaged: Averaged) -> None:
        super().__init__()
        self._state, self._steps, self._averaged = state, steps, averaged

    def on_test_begin(self, logs: Metrics | None = None) -> None:
        self._averaged.swap_in()

    def on_epoch_end(self, epoch: int, logs: Metrics | None = None) -> None:
        self._averaged.swap_in()
        self._finish(epoch, logs or {})
        self._averaged.swap_out()

    def _finish(self, epoch: int, logs: Metrics) -> None:
        if self._state.ended:  # stopped within the epoch, which does not count and is repeated on resume
            return
        # A loss is computed before its step, so the last step of an epoch can break the weights unnoticed
        if not all(math.isfinite(value) for value in logs.values()) or not _finite(self.model):
            self._state.ended = "nan"
            self.model.stop_training = True
            return
        self._state.epoch = epoch + 1
        metrics = {name: float(value) for name, value in logs.items() if value != ABSENT}
        metrics["learning_rate"] = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))
        for step in self._steps:
            step(epoch + 1, metrics)
        if self._state.ended:
            self.model.stop_training = True


def _finite(model: keras.Model) -> bool:
    return all(
        bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(weight.value))))
        for weight in model.weights
        if keras.backend.is_float_dtype(weight.dtype)
    )


@dataclass
class KeepBest:
    """Stores the model of the best epoch."""

    monitor: str
    state: TrainingState
    save: Callable[[], None]
    on_best: EpochStep

    def __call__(self, epoch: int, metrics: Metrics) -> None:
        name, value = monitored(self.monitor, metrics)
        if self.state.checkpoint.improves(name, value, epoch):
            self.state.best_metrics = dict(metrics)
            self.save()
            self.on_best(epoch, metrics)


@dataclass
class StopEarly:
    """Ends a run whose monitored metric has not improved for `patience` epochs."""

    params: EarlyStoppingParams
    state: TrainingState

    def __call__(self, epoch: int, metrics: Metrics) -> None:
        name, value = monitored(self.params.monitor, metrics)
        patience = self.state.early_stopping
        patience.improves(name, value, epoch, self.params.min_delta)
        if patience.waited >= self.params.patience:
            self.state.ended = "early"
            self.state.reason = (
                f"Early stopping at epoch {epoch} because {metric_in_words(name)} had not improved "
                f"for {patience.waited} epoch{'s' if patience.waited > 1 else ''}."
            )


@dataclass
class ReduceRate:
    """Lowers the learning rate when the monitored metric stalls, in addition to the schedule."""

    params: ReduceLRParams
    first_rate: float
    state: TrainingState

    def __call__(self, epoch: int, metrics: Metrics) -> None:
        name, value = monitored(self.params.monitor, metrics)
        patience = self.state.reduce_lr
        patience.improves(name, value, epoch)
        if patience.waited >= self.params.patience:
            lowest = self.params.min_lr / self.first_rate
            self.state.rate_factor = max(self.state.rate_factor * self.params.factor, lowest)
            self.state.reduce_lr = Patience(patience.best, patience.best_epoch)


class Probes:
    """Stores predictions for the probe images: 8-bit PNG under probe/<epoch>/<image id>.png, and for several classes
    the most likely one of each pixel under probe/<epoch>/classes/<image id>.png."""

    def __init__(
        self, folder: Path, splits: Sequence[Pixels], predict: Callable[[np.ndarray], np.ndarray], epoch_offset: int = 0
    ) -> None:
        self._folder, self._predict, self._epoch_offset = folder, predict, epoch_offset
        self._probes = [
            (pixels, index) for pixels in splits for index, sample in enumerate(pixels.samples) if sample.probe
        ]

    def __call__(self, epoch: int, metrics: Metrics) -> None:
        for pixels, index in self._probes:
            values = self._whole(pixels.pair(index)[..., :3], pixels.size)
            shape = fit_longest_side(pixels.shapes[index], PROBE_PX)
            place = self._epoch_offset + epoch, pixels.samples[index].id
            levels = probability_to_u8(resize_probability(foreground(values), shape))
            self._store(probe_path(*place), pixels.samples[index].region.cleared(levels))
            if values.ndim == 3:
                self._store(probe_classes_path(*place), class_maps.most_likely(values[..., 1:], shape))

    def _store(self, path: str, pixels: np.ndarray) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            beside.write_bytes(encode_png(pixels))

    def _whole(self, image: np.ndarray, size: int) -> np.ndarray:
        """Return the network's values for a scaled image, (H, W[, K + 1]), merged from the squares that cover it."""
        canvas = None
        for corner in windows(image.shape[:2], size, size // 4):
            values = self._predict(cut(image, corner, size)[np.newaxis])[0]
            values = values[..., 0] if values.shape[-1] == 1 else values
            canvas = canvas or Canvas(image.shape[:2], size, values.shape[2:])
            canvas.add(values, corner)
        assert canvas is not None  # an image has one window at least
        return canvas.mean()


class EventFiles:
    """Writes the metrics as TensorBoard scalars. The tensorboard package is needed to view them, not to write them."""

    def __init__(self, folder: Path) -> None:
        self._writers = {
            "train": tf.summary.create_file_writer(str(folder / "events" / "train")),
            "validation": tf.summary.create_file_writer(str(folder / "events" / "validation")),
        }
        # As tf.summary.scalar writes them, but that function needs the tensorboard package
        self._scalar = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
            data_class=1,
        )

    def __call__(self, epoch: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            side = "validation" if name.startswith("val_") else "train"
            with self._writers[side].as_default():
                tag = f"epoch_{name.removeprefix('val_')}"
                tf.summary.write(tag, tf.constant(value, tf.float32), step=epoch, metadata=self._scalar)
        for writer in self._writers.values():
            writer.flush()
