"""Foreground probabilities from a stored network.

An image becomes squares by the framing that its run was trained with (see `engine.network.framing`), and the answers
become one picture in the image's own size. Squares of one image overlap and are blended; batches are filled across
images, so that many tiles of one image and many small images keep the network equally busy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
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
from engine.network.stored_files import check_model_file

BATCH_SIZE = 8
OVERLAP = 4  # squares of one image overlap by at least a fourth of their side
FLIPS = ((), (2,), (1,), (1, 2))  # axes of (B, H, W): none, left and right, top and bottom, both

Network = Callable[[np.ndarray], np.ndarray]


class ModelError(ValueError):
    """A file is no network that can be used here."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image: `probability` float32 (H, W) in [0, 1] that a pixel is foreground.

    `flip_agreement` in [0, 1] is Dice at threshold 0.5 between its mask of the image as it is and that of the image
    mirrored left and right, turned back, over the squares in which it sees them; None where it was not asked.
    """

    probability: np.ndarray
    flip_agreement: float | None = None

    @property
    def uncertainty(self) -> np.ndarray:
        """Return the binary entropy of the probability in bits, float32 (H, W): 0 is sure, 1 is undecided.

        Where several mirror images were asked, the probability is their mean, and its entropy holds both what each of
        them doubts and where they contradict each other.
        """
        sure = np.finfo(np.float32).tiny  # 0 log 0 is 0
        p, q = np.maximum(self.probability, sure), np.maximum(1 - self.probability, sure)
        return np.clip(-(p * np.log2(p) + q * np.log2(q)), 0, 1)


@dataclass
class _Picture:
    """An image on its way through the network, until no answer is missing."""

    shape: tuple[int, int]
    scaled_shape: tuple[int, int]
    canvas: Canvas
    missing: int
    shared: int = 0
    drawn: int = 0

    def compare(self, plain: np.ndarray, mirrored: np.ndarray, corner: Corner) -> None:
        """Count pixels of the masks of a square, float32 (S, S), and of its mirror image, turned back."""
        inside, _ = overlap(corner, self.scaled_shape, plain.shape)
        one, other = (metrics.to_mask(answer[inside], 0.5) for answer in (plain, mirrored))
        self.shared += np.count_nonzero(one & other)
        self.drawn += np.count_nonzero(one) + np.count_nonzero(other)

    @property
    def flip_agreement(self) -> float:
        return (
            2 * self.shared / self.drawn if self.drawn else 1.0
        )  # two empty masks agree, as in engine.imaging.metrics


Batch = tuple[np.ndarray, list[tuple[_Picture, Corner]]]


def load_model(path: Path) -> keras.Model:
    """Return a stored network, in safe mode and without its optimizer.

    Raises:
        ModelError: the file is missing, damaged, is built from more than the layers that our networks use, or
            does not map (B, S, S, 3) to (B, S, S, 1).
    """
    if not path.exists():
        raise ModelError(f"There is no model file {path.name}. The run has not finished an epoch yet.")
    try:
        check_model_file(path)
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


def predict_many(
    model: keras.Model,
    images: Iterable[np.ndarray],
    data: DataParams,
    *,
    flips: bool = False,
    compare_mirror: bool = False,
    batch_size: int = BATCH_SIZE,
    network: Network | None = None,
) -> Iterator[Prediction]:
    """Yield the prediction of each RGB uint8 image (H, W, 3), in order, each in its own size.

    With `flips` the probability is the mean over the image and its three mirror images, at four times the work. With
    `compare_mirror` each prediction has its `flip_agreement`: free with `flips`, twice the work without; the
    probability is the same either way.
    `images` may be a generator that decodes: it is read in a thread of its own, a few batches ahead, while the network
    computes. What it raises is raised here. Close this generator to stop early. `network` is the model as `compiled`
    returns it, where it has been used before.
    """
    network = network or compiled(model)
    asked = FLIPS if flips else FLIPS[: 1 + compare_mirror]
    for squares, places in _ahead(_batches(images, data, model.input_shape[1], batch_size)):
        answers = [np.flip(network(np.flip(squares, axes)), axes) for axes in asked]
        drawn = np.mean(answers, axis=0, dtype=np.float32) if flips else answers[0]
        for index, (picture, corner) in enumerate(places):
            picture.canvas.add(drawn[index], corner)
            if compare_mirror:
                picture.compare(answers[0][index], answers[1][index], corner)
            picture.missing -= 1
            if not picture.missing:
                probability = resize_probability(picture.canvas.picture(), picture.shape)
                yield Prediction(probability, picture.flip_agreement if compare_mirror else None)


def compiled(model: keras.Model) -> Network:
    """Return the model as a function uint8 (B, S, S, 3) -> float32 (B, S, S). Its first call takes a second or more."""

    # model.predict would compile with XLA, whose convolutions are slower on CPUs than oneDNN's
    # Traced once for batches of any size, or the second size would cost seconds again
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)])
    def network(images: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(images, tf.float32), training=False)[..., 0]

    return lambda images: network(tf.constant(images)).numpy()


def _batches(images: Iterable[np.ndarray], data: DataParams, side: int, batch_size: int) -> Iterator[Batch]:
    """Yield (squares uint8 (B, S, S, 3), what each of them shows), B at most `batch_size`.

    The first batches are 1, 2, 4 … squares, so that a slow network soon has a mask to show and its pace is known.
    """
    full = 1
    squares, places = np.zeros((full, side, side, 3), np.uint8), []
    for image in images:
        scaled = resize_image(image, scaled_shape(image.shape[:2], data, side))
        corners = windows(scaled.shape[:2], side, side // OVERLAP)
        picture = _Picture(image.shape[:2], scaled.shape[:2], Canvas(scaled.shape[:2], side), len(corners))
        for corner in corners:
            squares[len(places)] = cut(scaled, corner, side)
            places.append((picture, corner))
            if len(places) == full:
                yield squares, places
                full = min(2 * full, batch_size)
                squares, places = np.zeros((full, side, side, 3), np.uint8), []
    if places:
        yield squares[: len(places)], places


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
