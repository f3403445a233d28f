"""Foreground probabilities from a stored network.

An image is stretched to the network's square, as in training, and the answer is brought back to the image's own size.
Stretching uses every pixel of the network's input and knows no border; the price is that proportions differ between
images, which training sees in the same way.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Full, Queue

import keras
import numpy as np
import tensorflow as tf

from engine.imaging import resize_image, resize_probability

BATCH_SIZE = 8
FLIPS = ((), (2,), (1,), (1, 2))  # axes of (B, H, W): none, left and right, top and bottom, both

Network = Callable[[np.ndarray], np.ndarray]
Batch = tuple[np.ndarray, list[tuple[int, int]]]


class ModelError(ValueError):
    """A file is no network that can be used here."""


def load_model(path: Path) -> keras.Model:
    """Return a stored network, in safe mode and without its optimizer.

    Raises:
        ModelError: the file is missing, damaged, or does not map (B, S, S, 3) to (B, S, S, 1).
    """
    if not path.exists():
        raise ModelError(f"There is no model file {path.name}. The run has not finished an epoch yet.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises anything from KeyError to BadZipFile on files that are not its own
        raise ModelError(f"The model file {path.name} cannot be read: {error}") from error
    sides = model.input_shape[1:3]
    if model.input_shape[1:] != (*sides, 3) or model.output_shape[1:] != (*sides, 1) or None in sides:
        raise ModelError(
            f"The model file {path.name} maps {model.input_shape} to {model.output_shape}, "
            "and not pictures (S, S, 3) to probabilities (S, S, 1)."
        )
    return model


def predict(model: keras.Model, image: np.ndarray, flips: bool = False) -> np.ndarray:
    """Return the probability, float32 (H, W) in [0, 1], that each pixel of an RGB uint8 image (H, W, 3) is foreground.

    With `flips` it is the mean over the image and its three mirror images, at four times the work.
    """
    return next(predict_many(model, [image], flips, batch_size=1))


def predict_many(
    model: keras.Model, images: Iterable[np.ndarray], flips: bool = False, batch_size: int = BATCH_SIZE
) -> Iterator[np.ndarray]:
    """Yield the probability of each image, in order, each in its own size.

    `images` may be a generator that decodes: it is read in a thread of its own, a few batches ahead, while the network
    computes. What it raises is raised here. Close this generator to stop early.
    """
    network = _compiled(model)
    for squares, shapes in _ahead(_batches(images, model.input_shape[1], batch_size)):
        for probability, shape in zip(_averaged(network, squares, flips), shapes, strict=False):
            yield resize_probability(probability, shape)


def _compiled(model: keras.Model) -> Network:
    # model.predict would compile with XLA, whose convolutions are slower on CPUs than oneDNN's
    @tf.function(reduce_retracing=True)
    def network(images: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(images, tf.float32), training=False)[..., 0]

    return lambda images: network(tf.constant(images)).numpy()


def _averaged(network: Network, squares: np.ndarray, flips: bool) -> np.ndarray:
    """Return probabilities (B, S, S) of images (B, S, S, 3)."""
    if not flips:
        return network(squares)
    answers = [np.flip(network(np.flip(squares, axes)), axes) for axes in FLIPS]
    return np.mean(answers, axis=0, dtype=np.float32)


def _batches(images: Iterable[np.ndarray], side: int, batch_size: int) -> Iterator[Batch]:
    """Yield (squares uint8 (batch_size, S, S, 3), shapes of the real ones among them)."""
    source = iter(images)
    while group := list(itertools.islice(source, batch_size)):
        # Always the same size, so that the network is compiled once
        squares = np.zeros((batch_size, side, side, 3), np.uint8)
        for index, image in enumerate(group):
            squares[index] = resize_image(image, (side, side))
        yield squares, [image.shape[:2] for image in group]


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield from `batches`, read by a thread at most two ahead."""
    queue: Queue[Batch | BaseException | None] = Queue(maxsize=2)
    closed = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return queue.put(item, timeout=0.1)
            except Full:
                continue

    def read() -> None:
        try:
            for batch in batches:
                put(batch)
                if closed.is_set():
                    return
            put(None)
        except BaseException as error:  # whatever it is, it belongs to the one who asked
            put(error)

    thread = threading.Thread(target=read, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
