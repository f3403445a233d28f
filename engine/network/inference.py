"""Foreground probabilities from a stored network.

An image is cut into squares by the framing of the training run (see `engine.network.framing`), and the predictions for
the squares are merged and resized to the image's size. Squares of one image overlap and are blended. Batches are filled
across images, so that many tiles of one image and many small images use the network equally well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue

import keras
import numpy as np
import tensorflow as tf

from engine.core.run_parameters import DataParams
from engine.imaging import metrics
from engine.imaging.codec import resize_image, resize_probability
from engine.network.framing import Canvas, Corner, cut, overlap, scaled_shape, windows
from engine.network.outputs import entropy, foreground
from engine.network.stored_files import check_model_file

BATCH_SIZE = 8
OVERLAP = 4  # squares of one image overlap by at least a quarter of their side
FLIPS = ((), (2,), (1,), (1, 2))  # axes of (B, H, W): none, left and right, top and bottom, both

Network = Callable[[np.ndarray], np.ndarray]


class ModelError(ValueError):
    """A file is not a usable network."""


@dataclass(frozen=True)
class Prediction:
    """A network's prediction for an image, RGB uint8 (H, W, 3).

    `probability` float32 (H, W) in [0, 1] is that of foreground. `flip_agreement` in [0, 1] is the Dice coefficient at
    threshold 0.5 between the mask of the image and that of the horizontally mirrored image, mirrored back, over all
    squares; None if it was not requested. With several classes, `classes` is the most likely one of each pixel, uint8
    (H, W), and `class_entropy` the entropy of background and all classes, from 0 to 1, float32 (H, W).
    """

    image: np.ndarray
    probability: np.ndarray
    flip_agreement: float | None = None
    classes: np.ndarray | None = None
    class_entropy: np.ndarray | None = None

    @property
    def uncertainty(self) -> np.ndarray:
        """The entropy of the probabilities divided by its maximum, float32 (H, W): 0 is certain, 1 is undecided.

        With `flips` these are means over mirror images, so their entropy includes their disagreement.
        """
        if self.class_entropy is not None:
            return self.class_entropy
        return entropy([self.probability, 1 - self.probability])


@dataclass
class _Pending:
    """An image of which `missing` squares are not predicted yet."""

    image: np.ndarray
    scaled_shape: tuple[int, int]
    canvas: Canvas
    missing: int
    shared_px: int = 0
    foreground_px: int = 0

    def compare(self, plain: np.ndarray, mirrored: np.ndarray, corner: Corner) -> None:
        """Count pixels in the masks of a square, (S, S[, K + 1]), and of its mirror image, mirrored back."""
        inside, _ = overlap(corner, self.scaled_shape, plain.shape[:2])
        one, other = (metrics.to_mask(foreground(values[inside]), 0.5) for values in (plain, mirrored))
        self.shared_px += int(np.count_nonzero(one & other))
        self.foreground_px += int(np.count_nonzero(one) + np.count_nonzero(other))

    def prediction(self, compare_mirror: bool) -> Prediction:
        mean, shape = self.canvas.mean(), self.image.shape[:2]
        probability = resize_probability(foreground(mean), shape)
        agreement = None
        if compare_mirror:  # two empty masks agree, as in engine.imaging.metrics
            agreement = 2 * self.shared_px / self.foreground_px if self.foreground_px else 1.0
        if mean.ndim == 2:
            return Prediction(self.image, probability, agreement)
        unsure = resize_probability(entropy(list(np.moveaxis(mean, -1, 0))), shape)
        return Prediction(self.image, probability, agreement, most_likely(mean, shape), unsure)


def most_likely(mean: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the class of greatest probability beside background, uint8 (H, W), at (height, width)."""
    best, most = np.ones(shape, np.uint8), resize_probability(mean[..., 1], shape)
    for index in range(2, mean.shape[-1]):  # one at a time, as the image may be many times larger than `mean`
        probability = resize_probability(mean[..., index], shape)
        more = probability > most
        best[more], most[more] = index, probability[more]
    return best


Batch = tuple[np.ndarray, list[tuple[_Pending, Corner]]]


def load_model(path: Path) -> keras.Model:
    """Return a stored network, loaded in safe mode and without its optimizer.

    Raises:
        ModelError: the file is missing or damaged, has other layers than our networks use, or does not map
            (B, S, S, 3) to (B, S, S, 1) or (B, S, S, K + 1).
    """
    if not path.exists():
        raise ModelError(f"There is no model file {path.name}. The run has not finished an epoch yet.")
    try:
        check_model_file(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises anything from KeyError to BadZipFile on foreign files
        raise ModelError(f"The model file {path.name} cannot be read: {error}") from error
    sides = model.input_shape[1:3]
    *size, outputs = model.output_shape[1:]
    if model.input_shape[1:] != (*sides, 3) or tuple(size) != sides or None in (*sides, outputs):
        raise ModelError(
            f"The model file {path.name} maps {model.input_shape} to {model.output_shape}, "
            "and not images (S, S, 3) to probabilities (S, S, 1) or (S, S, K + 1)."
        )
    return model


def predict_many(
    model: keras.Model,
    images: Iterable[np.ndarray],
    data: DataParams,
    *,
    flips: bool = False,
    compare_mirror: bool = False,
    batch_size: int = BATCH_SIZE,
    network: Network | None = None,
) -> Generator[Prediction, None, None]:
    """Yield the prediction for each RGB uint8 image (H, W, 3), in order and at the image's size.

    With `flips` the probability is the mean over the image and its three mirror images, at four times the work. With
    `compare_mirror` each prediction has its `flip_agreement`, at no cost with `flips` and at twice the work without;
    the probability does not depend on it.

    `images` may be a generator that decodes: another thread reads it a few batches ahead while the network computes,
    and its exceptions are raised here. Close this generator to stop early. `network` is what `compiled(model)`
    returned, if it was called before.
    """
    network = network or compiled(model)
    mirrors = FLIPS if flips else FLIPS[: 1 + compare_mirror]
    side, outputs = model.input_shape[1], model.output_shape[-1]
    values = (outputs,) if outputs > 1 else ()
    for squares, places in _ahead(_batches(images, data, side, values, batch_size)):
        outputs = [np.flip(network(np.flip(squares, axes)), axes) for axes in mirrors]
        probabilities: np.ndarray = np.asarray(np.mean(outputs, axis=0, dtype=np.float32)) if flips else outputs[0]
        for index, (pending, corner) in enumerate(places):
            pending.canvas.add(probabilities[index], corner)
            if compare_mirror:
                pending.compare(outputs[0][index], outputs[1][index], corner)
            pending.missing -= 1
            if not pending.missing:
                yield pending.prediction(compare_mirror)


def compiled(model: keras.Model) -> Network:
    """Return the model as a function uint8 (B, S, S, 3) -> float32 (B, S, S), or (B, S, S, K + 1) for K > 1 classes.

    Its first call takes a second or more.
    """

    # model.predict would compile with XLA, whose convolutions are slower on CPUs than oneDNN's.
    # The signature allows any batch size: otherwise each new size is traced again, which takes seconds.
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)])
    def network(images: tf.Tensor) -> tf.Tensor:
        values = model(tf.cast(images, tf.float32), training=False)
        return values[..., 0] if values.shape[-1] == 1 else values

    return lambda images: network(tf.constant(images)).numpy()


def _batches(
    images: Iterable[np.ndarray], data: DataParams, side: int, values: tuple[int, ...], batch_size: int
) -> Iterator[Batch]:
    """Yield (squares uint8 (B, S, S, 3), image and corner of each square), B at most `batch_size`.

    The first batches have 1, 2, 4 … squares, so that a slow network has its first mask and its rate early.
    """
    full = 1
    squares = np.zeros((full, side, side, 3), np.uint8)
    places: list[tuple[_Pending, Corner]] = []
    for image in images:
        scaled = resize_image(image, scaled_shape(image.shape[:2], data, side))
        corners = windows(scaled.shape[:2], side, side // OVERLAP)
        pending = _Pending(image, scaled.shape[:2], Canvas(scaled.shape[:2], side, values), len(corners))
        for corner in corners:
            squares[len(places)] = cut(scaled, corner, side)
            places.append((pending, corner))
            if len(places) == full:
                yield squares, places
                full = min(2 * full, batch_size)
                squares, places = np.zeros((full, side, side, 3), np.uint8), []
    if places:
        yield squares[: len(places)], places


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield from `batches`, which a thread reads at most two batches ahead."""
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
        except BaseException as error:  # re-raised in the consuming thread
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
