"""The network compiled for training, with the precision, optimizer, loss and metrics of a run's parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf

from engine.core.run_config import RunConfig
from engine.core.run_parameters import TrainingParams
from engine.network.encoder_weights import load_encoder_weights
from engine.network.keras_metrics import metrics_of
from engine.network.losses import loss_of
from engine.network.networks import network
from engine.network.normalization import FusedBatchNormalization
from engine.network.pretrained import IMAGENET, installed_here, installed_path, weights_origin
from engine.network.softmax import PlanarActivation
from engine.training.hardware import hardware, spread

MOMENTUM = 0.9

FAST_LAYERS = {"BatchNormalization": FusedBatchNormalization, "Activation": PlanarActivation}
"""Computing the same as Keras' layers of these names, in less time."""


def training_model(
    config: RunConfig,
    pretrained: bool = True,
    class_weights: Sequence[float] | None = None,
    start: keras.Model | None = None,
) -> keras.Model:
    """Return the network compiled for training, in the precision that suits this machine.

    `class_weights` are those of `engine.network.losses.loss_of`. Without `pretrained` the encoder's weights are not
    loaded, for a network whose weights are restored anyway. `start` is a network of the same shape whose weights this
    one begins with.

    Raises:
        EncoderWeightsError: the pretrained weights are not available.
    """
    training, machine = config.training, hardware(config.training.precision)
    with spread():
        model = network(config.model, training.seed, machine.precision, FAST_LAYERS)
        if pretrained and pretrained_weights(config):
            load_encoder_weights(model, config.model.encoder_weights)
        if start is not None:  # before the optimizer, whose moving average begins with the weights
            model.set_weights(start.get_weights())
        model.compile(
            _optimizer(training, machine.precision),
            loss_of(training, class_weights),
            metrics=metrics_of(config.model.outputs),
            jit_compile=machine.xla,
        )
        model.optimizer.build(model.trainable_variables)
    return model


def pretrained_weights(config: RunConfig) -> str:
    """Return the name of the pretrained weights that a run starts from; empty if it starts from none."""
    model = config.model
    if not model.uses("encoder_weights") or model.encoder_weights == "none":
        return ""
    if model.encoder_weights != IMAGENET:
        return model.encoder_weights.rpartition("/")[2]
    added = installed_here() if installed_path().is_file() else None
    return added.file if added and not added.of_imagenet else "ImageNet"


def weights_details(config: RunConfig) -> dict[str, str]:
    """Return what a run's details say of its pretrained weights, for `engine.training.run_details`.

    A file that is gone is left out: a run that is resumed keeps what was known of it.
    """
    name = pretrained_weights(config)
    origin = weights_origin(config.model)
    return {"weights": f"MobileNetV2 encoder: {name}" if name else ""} | ({"weights_file": origin} if origin else {})


def _optimizer(training: TrainingParams, precision: str) -> keras.Optimizer:
    common = {"global_clipnorm": training.clip_norm or None}
    if training.ema:
        # `Averaged` reads the averages; the optimizer never overwrites the weights with them
        common |= {"use_ema": True, "ema_momentum": training.ema, "ema_overwrite_frequency": None}
    if training.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(training.learning_rate, weight_decay=training.weight_decay, **common)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    elif training.optimizer == "adam":
        optimizer = keras.optimizers.Adam(training.learning_rate, **common)
    else:
        optimizer = keras.optimizers.SGD(training.learning_rate, momentum=MOMENTUM, nesterov=True, **common)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


class Averaged:
    """Swaps the weights with their moving average, if a run has one."""

    def __init__(self, model: keras.Model) -> None:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self._pairs = []
        if optimizer.use_ema:
            self._pairs = list(zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True))
        self._swapped = False

    def swap_in(self) -> None:
        if not self._swapped:
            self._swap()

    def swap_out(self) -> None:
        if self._swapped:
            self._swap()

    @contextmanager
    def out(self) -> Iterator[None]:
        """Use the weights themselves within the block, and restore the state before it afterwards."""
        swapped = self._swapped
        self.swap_out()
        try:
            yield
        finally:
            if swapped:
                self.swap_in()

    def _swap(self) -> None:
        self._swapped = not self._swapped
        for weight, average in self._pairs:
            before = tf.identity(weight.value)
            weight.assign(tf.identity(average.value))
            average.assign(before)
