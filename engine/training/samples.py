"""Training samples: pairs of image and target, decoded and scaled once into one file on disk.

A pair has four channels, red, green, blue and the foreground probability, so that one warp transforms image and target
alike, and a fifth, the most likely class, where the network tells several classes apart. It is mapped into memory only
while it is used: pages of a file that stays mapped count as memory of the process, which would be ten gigabytes for ten
thousand images.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from engine.core.run_config import RunConfig
from engine.core.run_parameters import DataParams
from engine.imaging import class_maps, corrections
from engine.imaging.class_maps import IGNORE, IGNORED_LEVEL
from engine.imaging.codec import UnreadableImage, decode_png, resize_image
from engine.imaging.left_out import NOTHING, LeftOut
from engine.network.framing import foreground_points, scaled_shape, squares_per_epoch
from engine.store.base import StoredFile

_NO_POINTS = np.empty((0, 2), np.int32)


class TrainingError(ValueError):
    """Training cannot start or continue. The message is a sentence the user can act on."""


class OtherNetwork(TrainingError):
    """The stored state is of another network than this version builds. Trying again cannot help."""


@dataclass(frozen=True)
class Sample:
    """One image and its target.

    Without `lookup` the target file is an 8-bit foreground probability. With `lookup`, 256 class indices, it contains
    truth values, read as in `class_maps.reference`; ignored pixels become `IGNORED_LEVEL`. `probe`: store the
    prediction after every epoch. `weight` is the image's weight in training, at most 1. `classes` has the class of each
    pixel of a pseudo-label with several classes. `correction` has what a person drew, which is laid over the
    pseudo-label; `left_out` says that some of it is to be ignored. `region` is left out of the image.
    """

    id: str
    image: Path | StoredFile
    target: Path | StoredFile
    split: Literal["train", "validation"]
    lookup: tuple[int, ...] | None = None
    probe: bool = False
    weight: float = 1.0
    classes: Path | StoredFile | None = None
    correction: Path | StoredFile | None = None
    left_out: bool = False
    region: LeftOut = NOTHING

    @property
    def ignores(self) -> bool:
        """Whether pixels of the target may have `IGNORED_LEVEL`, which are to be left out."""
        return self.left_out or bool(self.region) or (self.lookup is not None and IGNORE in self.lookup)


@dataclass(frozen=True)
class Pixels:
    """All pairs of one split, scaled for squares of `size`, one after the other in `file`."""

    samples: tuple[Sample, ...]
    size: int
    file: Path
    shapes: tuple[tuple[int, int], ...]
    """(height, width) of each image as it is stored."""
    scaled: tuple[tuple[int, int], ...]
    """(height, width) of each pair in `file`."""
    counts: tuple[int, ...]
    """The number of squares of each image in an epoch."""
    points: tuple[np.ndarray, ...]
    """Some foreground pixels of each pair, int32 (K, 2); empty unless the framing is tiles."""
    channels: int = 4
    """Of a pair."""
    class_pixels: tuple[int, ...] = ()
    """The number of pixels of background and of each class in all pairs; empty for one class."""

    @property
    def squares(self) -> int:
        """The number of squares in one epoch of training."""
        return sum(self.counts)

    def pair(self, index: int) -> np.ndarray:
        """Return image, foreground probability and class of one sample, uint8 (H, W, 4 or 5), as a memory map."""
        shape = (*self.scaled[index], self.channels)
        mapped = np.memmap(self.file, np.uint8, "r", offset=int(self._offsets[index]), shape=shape)
        return np.asarray(mapped)

    @cached_property
    def _offsets(self) -> np.ndarray:
        sizes = [height * width * self.channels for height, width in self.scaled]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def read_pair(sample: Sample, data: DataParams, size: int, several: bool = False) -> tuple[np.ndarray, tuple[int, int]]:
    """Return image and target, scaled for squares of `size`, uint8 (H, W, 4 or 5), and the image's shape.

    The target is the foreground probability and, for `several` classes, the most likely class.

    Raises:
        TrainingError: a file is missing or damaged.
    """
    image, target = read_stored(sample.image), read_stored(sample.target)
    shape = scaled_shape(image.shape[:2], data, size)
    levels = scaled_levels(target, sample.lookup, shape)
    drawn = None if sample.correction is None else read_stored(sample.correction)
    if drawn is not None:
        levels = corrections.over_levels(levels, drawn, IGNORED_LEVEL)
    region = sample.region.of(shape)
    if region is not None:
        levels = np.where(region, np.uint8(IGNORED_LEVEL), levels)
    parts = [resize_image(image, shape), levels]
    if several:
        classes = class_maps.reference(target, sample.lookup).classes if sample.lookup else None
        if sample.classes is not None:
            classes = read_stored(sample.classes)
        classes = np.zeros(shape, np.uint8) if classes is None else class_maps.resize_classes(classes, shape)
        parts.append(classes if drawn is None else corrections.over_classes(classes, drawn))
    return np.dstack(parts), image.shape[:2]


def scaled_levels(target: np.ndarray, lookup: Sequence[int] | None, shape: tuple[int, int]) -> np.ndarray:
    """Return the foreground probability of a target, uint8 (H, W), at (height, width): 128 and above is foreground.

    `lookup` is that of `Sample`.
    """
    if lookup is None:
        return resize_image(target, shape)
    truth = replace(class_maps.reference(target, lookup), classes=None).resized(shape)
    levels = truth.foreground.astype(np.uint8) * 255
    if truth.ignored is not None:
        levels[truth.ignored] = IGNORED_LEVEL
    return levels


@contextmanager
def prepared(
    samples: Sequence[Sample], config: RunConfig, folder: Path, on_progress: Callable[[int, int], None]
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
            _filled(train, config, place / "train", lambda done: on_progress(done, total)),
            _filled(validation, config, place / "validation", lambda done: on_progress(len(train) + done, total)),
        )


def _filled(samples: tuple[Sample, ...], config: RunConfig, path: Path, on_progress: Callable[[int], None]) -> Pixels:
    data, size, several = config.data, config.model.image_size, config.model.outputs > 1
    shapes, scaled, counts, points = [], [], [], []
    pixels = np.zeros(256, np.int64)
    with path.open("wb") as file:
        for pair, shape in _in_order(samples, lambda sample: read_pair(sample, data, size, several)):
            file.write(pair.data)
            shapes.append(shape)
            scaled.append(pair.shape[:2])
            counts.append(squares_per_epoch(scaled[-1], data, size))
            points.append(foreground_points(pair[..., 3]) if data.framing == "tiles" else _NO_POINTS)
            if several:
                pixels += _class_pixels(pair, samples[len(shapes) - 1])
            on_progress(len(shapes))
    return Pixels(
        samples,
        size,
        path,
        tuple(shapes),
        tuple(scaled),
        tuple(counts),
        tuple(points),
        channels=5 if several else 4,
        class_pixels=tuple(pixels[: config.model.outputs].tolist()) if several else (),
    )


def _class_pixels(pair: np.ndarray, sample: Sample) -> np.ndarray:
    """Return the pixels of background and of each class in a pair that count, int64 (256,)."""
    classes = np.where(pair[..., 3] >= 128, pair[..., 4], 0)
    if sample.ignores:
        classes = classes[pair[..., 3] != IGNORED_LEVEL]
    return np.bincount(classes.ravel(), minlength=256)


def _in_order(
    samples: Sequence[Sample], read: Callable[[Sample], tuple[np.ndarray, tuple[int, int]]]
) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Yield the results of `read`, in order, computed by a few threads that stay at most a few images ahead."""
    workers = os.cpu_count() or 1
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(workers) as pool:  # decoding and resizing release the interpreter lock
        try:
            for sample in samples:
                waiting.append(pool.submit(read, sample))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_stored(file: Path | StoredFile) -> np.ndarray:
    """Return a stored image, uint8 (H, W, 3), or a target, uint8 (H, W).

    Raises:
        TrainingError: the file is missing or damaged.
    """
    try:
        return decode_png(file.read_bytes())
    except FileNotFoundError:
        raise TrainingError(f"The file {file.name} of a training pair is missing from the store.") from None
    except UnreadableImage as error:
        raise TrainingError(f"The file {file.name} of a training pair is damaged: {error}") from None
