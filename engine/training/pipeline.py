"""The stream of batches. The squares, their order and their augmentation depend only on seed, epoch and position.

A run that is resumed at epoch 7 therefore gets exactly the same batches as without the interruption.

A batch is images float32 (B, S, S, 3) in 0 to 255 and targets float32 (B, S, S, 2): the foreground probability in
[0, 1], and the weight of the pixel. With several classes targets are (B, S, S, 3): the last is the most likely class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import tensorflow as tf

from engine.core.run_config import RunConfig
from engine.core.run_parameters import TrainingParams
from engine.imaging.class_maps import IGNORED_LEVEL
from engine.network.augmentation import draw_square
from engine.network.framing import cut, shares
from engine.training.samples import Pixels, Sample

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 (B, S, S, 3), targets float32 (B, S, S, 2 or 3)


def batch_size(config: RunConfig, pixels: Pixels) -> int:
    """Return the batch size: that of the parameters, or the number of squares if that is smaller."""
    return min(config.training.batch_size, pixels.squares)


_UNDECIDED = (np.abs(np.arange(256) - IGNORED_LEVEL) > 63).astype(np.float32)
"""The weight of truth by its target where pixels are ignored: those and their interpolated edges have 0."""

_DECIDED = (np.arange(256) != IGNORED_LEVEL).astype(np.float32)
"""The weight of a corrected pseudo-label likewise; its other values between background and foreground mean doubt."""


def steps_per_epoch(config: RunConfig, pixels: Pixels) -> int:
    return math.ceil(pixels.squares / batch_size(config, pixels))


def training_batches(config: RunConfig, pixels: Pixels, first_epoch: int = 0) -> tf.data.Dataset:
    """Return all batches from `first_epoch` (counted from 0) to the last epoch.

    All batches have the same size: the last one of an epoch is filled with squares from the epoch's beginning,
    augmented differently. Pixels of mirrored edges count like all others.
    """
    steps, size, seed = steps_per_epoch(config, pixels), batch_size(config, pixels), config.training.seed
    side = config.model.image_size
    pseudo, truth = (pixel_weights(config.training, truth) for truth in (False, True))
    shown = np.repeat(np.arange(len(pixels.samples)), pixels.counts)  # the image of each square

    @lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(shown)

    def batch(step: np.int64) -> Arrays:
        epoch, position = divmod(int(step), steps)
        places = np.arange(position * size, (position + 1) * size)
        images, targets = _empty(size, pixels)
        for row, (place, index) in enumerate(zip(places, np.take(order(epoch), places, mode="wrap"), strict=True)):
            rng = np.random.default_rng((seed, epoch, int(place)))
            pair, points = pixels.pair(index), pixels.points[index]
            square = draw_square(pair, points, side, config.data, config.augmentation, rng)
            sample = pixels.samples[index]
            values = pseudo if sample.lookup is None else truth
            values = values * _counted_levels(sample) if sample.ignores else values
            _divide(square, images[row], targets[row])
            targets[row, ..., 1] = values[square[..., 3]] * np.float32(sample.weight)
        return images, targets

    stream = tf.data.Dataset.range(first_epoch * steps, config.training.epochs * steps)
    return _as_tensors(stream, batch, size, pixels, ahead=4)


def validation_batches(config: RunConfig, pixels: Pixels) -> tf.data.Dataset:
    """Return every image once, without augmentation and in order, as squares that cover it.

    The last batch may be smaller. Each pixel of a scaled image has weight 1 in one square; mirrored pixels,
    repetitions and ignored pixels have weight 0.
    """
    size, side = config.training.batch_size, config.model.image_size
    squares = [(index, *share) for index, shape in enumerate(pixels.scaled) for share in shares(shape, side)]

    def batch(start: np.int64) -> Arrays:
        chosen = squares[start : start + size]
        images, targets = _empty(len(chosen), pixels)
        for row, (index, corner, part) in enumerate(chosen):
            square, sample = cut(pixels.pair(index), corner, side), pixels.samples[index]
            _divide(square, images[row], targets[row])
            targets[row, ..., 1] = 0
            targets[row, ..., 1][part] = _counted_levels(sample)[square[..., 3][part]] if sample.ignores else 1
        return images, targets

    positions = tf.data.Dataset.range(0, len(squares), size)
    return _as_tensors(positions, batch, None, pixels, ahead=2)


def _counted_levels(sample: Sample) -> np.ndarray:
    """Return which levels of a target that ignores pixels count, float32 (256,)."""
    return _DECIDED if sample.lookup is None else _UNDECIDED


def pixel_weights(params: TrainingParams, truth: bool) -> np.ndarray:
    """Return the weight of a pixel for each value of its 8-bit target, float32 (256,). Truth has weight 1."""
    weights = np.ones(256, np.float32)
    if truth:
        return weights
    distance = np.abs(np.arange(256, dtype=np.float32) / 255 - 0.5)
    if params.confidence_weights:
        weights = 2 * distance
    return np.where(distance < params.ignore_band, np.float32(0), weights)


def _empty(count: int, pixels: Pixels) -> Arrays:
    shape = (count, pixels.size, pixels.size)
    return np.empty((*shape, 3), np.uint8), np.empty((*shape, pixels.channels - 2), np.float32)


def _divide(square: np.ndarray, image: np.ndarray, target: np.ndarray) -> None:
    """Write a pair to its places in a batch, except for the weights."""
    image[:] = square[..., :3]
    np.divide(square[..., 3], np.float32(255), out=target[..., 0])
    target[..., 2:] = square[..., 4:]


def _as_tensors(
    positions: tf.data.Dataset, batch: Callable[[np.int64], Arrays], size: int | None, pixels: Pixels, ahead: int
) -> tf.data.Dataset:
    shape = (size, pixels.size, pixels.size)

    def tensors(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, targets = tf.numpy_function(batch, [position], (tf.uint8, tf.float32), stateful=False)
        images.set_shape((*shape, 3))
        targets.set_shape((*shape, pixels.channels - 2))
        return tf.cast(images, tf.float32), targets

    # Without autotuning, whose thread could delay the end of a run by a minute
    options = tf.data.Options()
    options.autotune.enabled = False
    return positions.map(tensors, num_parallel_calls=2, deterministic=True).prefetch(ahead).with_options(options)
