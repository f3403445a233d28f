"""What a network learns from: pairs of files, decoded and resized once into arrays on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from engine.imaging import UnreadableImage, decode_png, resize_image, resize_mask


class TrainingError(ValueError):
    """Training cannot begin or go on. The message is a sentence a person can act on."""


@dataclass(frozen=True)
class Sample:
    """One image and what the network should say of it.

    Without `lookup` the target file is an 8-bit foreground probability and is learned as it is. With `lookup`, 256
    class indices, it holds truth values, and any class but 0 is foreground. `probe` asks for a picture of the
    prediction after every epoch.
    """

    id: str
    image: Path
    target: Path
    split: Literal["train", "validation"]
    lookup: tuple[int, ...] | None = None
    probe: bool = False


@dataclass(frozen=True)
class Pixels:
    """All pairs of one split at the network's size: `images` uint8 (N, S, S, 3), `targets` uint8 (N, S, S).

    A target is the foreground probability times 255.
    """

    samples: tuple[Sample, ...]
    images: np.ndarray
    targets: np.ndarray
    shapes: tuple[tuple[int, int], ...]
    """(height, width) of each image as it is stored."""


def read_pair(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return image uint8 (S, S, 3), target uint8 (S, S), and the image's own (height, width).

    Raises:
        TrainingError: a file is missing or damaged.
    """
    image, target = _read(sample.image), _read(sample.target)
    square = (size, size)
    if sample.lookup is None:
        levels = resize_image(target, square)
    else:
        foreground = np.asarray(sample.lookup, np.uint8)[target] > 0
        levels = resize_mask(foreground, square).astype(np.uint8) * 255
    return resize_image(image, square), levels, image.shape[:2]


@contextmanager
def prepared(
    samples: Sequence[Sample], size: int, folder: Path, on_progress: Callable[[int, int], None]
) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield the pixels of training and validation, in files below `folder` that are deleted when the block ends.

    Raises:
        TrainingError: there is nothing to train on, or a file is missing or damaged.
    """
    train = tuple(sample for sample in samples if sample.split == "train")
    validation = tuple(sample for sample in samples if sample.split == "validation")
    if not train:
        raise TrainingError("There is no image to train on. Import images, or lower the validation split.")
    with TemporaryDirectory(prefix="pixels.part", dir=folder, ignore_cleanup_errors=True) as temporary:
        place = Path(temporary)
        total = len(samples)
        yield (
            _filled(train, size, place / "train", lambda done: on_progress(done, total)),
            _filled(validation, size, place / "validation", lambda done: on_progress(len(train) + done, total)),
        )


def _filled(samples: tuple[Sample, ...], size: int, stem: Path, on_progress: Callable[[int], None]) -> Pixels:
    count = len(samples)
    if not count:
        return Pixels((), np.empty((0, size, size, 3), np.uint8), np.empty((0, size, size), np.uint8), ())
    images = np.memmap(stem.with_suffix(".images"), np.uint8, "w+", shape=(count, size, size, 3))
    targets = np.memmap(stem.with_suffix(".targets"), np.uint8, "w+", shape=(count, size, size))
    shapes = []
    with ThreadPoolExecutor() as pool:  # decoding and resizing release the interpreter lock
        for index, (image, target, shape) in enumerate(pool.map(lambda sample: read_pair(sample, size), samples)):
            images[index], targets[index] = image, target
            shapes.append(shape)
            on_progress(index + 1)
    return Pixels(samples, images, targets, tuple(shapes))


def _read(path: Path) -> np.ndarray:
    try:
        return decode_png(path.read_bytes())
    except FileNotFoundError:
        raise TrainingError(f"The file {path.name} of a training pair is missing from the store.") from None
    except UnreadableImage as error:
        raise TrainingError(f"The file {path.name} of a training pair is damaged: {error}") from None
