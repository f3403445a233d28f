"""The stream of batches: which images, in which order, changed how. All of it follows from seed, epoch and position.

A run that resumes at epoch 7 therefore sees exactly the batches that it would have seen without the interruption.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from engine.config import AugmentationParams, RunConfig
from engine.data.augment import augment
from engine.training.samples import Pixels


def batch_size(config: RunConfig, pixels: Pixels) -> int:
    """Return the batch size in use: never more than there are images."""
    return min(config.training.batch_size, len(pixels.samples))


def steps_per_epoch(config: RunConfig, pixels: Pixels) -> int:
    return math.ceil(len(pixels.samples) / batch_size(config, pixels))


def training_batches(config: RunConfig, pixels: Pixels, first_epoch: int = 0) -> tf.data.Dataset:
    """Return all batches from `first_epoch` (counted from 0) to the last epoch, one epoch after the other.

    A batch is images float32 (B, S, S, 3) in 0 to 255 and targets float32 (B, S, S, 1) in [0, 1]. Every batch has the
    same size: the last one of an epoch is filled up from the epoch's beginning, with other changes.
    """
    steps, size, seed = steps_per_epoch(config, pixels), batch_size(config, pixels), config.training.seed

    def batch(step: np.int64) -> tuple[np.ndarray, np.ndarray]:
        epoch, position = divmod(int(step), steps)
        order = np.random.default_rng((seed, epoch)).permutation(len(pixels.samples))
        places = np.arange(position * size, (position + 1) * size)
        rngs = [np.random.default_rng((seed, epoch, int(place))) for place in places]
        return _augmented(pixels, np.take(order, places, mode="wrap"), config.augmentation, rngs)

    stream = tf.data.Dataset.range(first_epoch * steps, config.training.epochs * steps)
    return _as_tensors(stream, batch, config.model.image_size, size, ahead=4)


def validation_batches(config: RunConfig, pixels: Pixels) -> tf.data.Dataset:
    """Return every image once, in order and unchanged; the last batch may be smaller."""
    size = config.training.batch_size
    starts = tf.data.Dataset.range(0, len(pixels.samples), size)

    def batch(start: np.int64) -> tuple[np.ndarray, np.ndarray]:
        return pixels.images[start : start + size], pixels.targets[start : start + size]

    return _as_tensors(starts, batch, config.model.image_size, None, ahead=2)


def _augmented(
    pixels: Pixels, indices: np.ndarray, params: AugmentationParams, rngs: list[np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    pairs = [
        augment(pixels.images[index], pixels.targets[index], params, rng)
        for index, rng in zip(indices, rngs, strict=True)
    ]
    return np.stack([image for image, _ in pairs]), np.stack([target for _, target in pairs])


def _as_tensors(positions: tf.data.Dataset, batch, side: int, count: int | None, ahead: int) -> tf.data.Dataset:
    def tensors(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, targets = tf.numpy_function(batch, [position], (tf.uint8, tf.uint8), stateful=False)
        images.set_shape((count, side, side, 3))
        targets.set_shape((count, side, side))
        wanted = tf.cast(targets, tf.float32) / 255
        return tf.cast(images, tf.float32), tf.stack([wanted, tf.ones_like(wanted)], axis=-1)

    # Nothing here is left to autotuning, whose thread could keep the end of a run waiting for a minute
    options = tf.data.Options()
    options.autotune.enabled = False
    return positions.map(tensors, num_parallel_calls=2, deterministic=True).prefetch(ahead).with_options(options)
