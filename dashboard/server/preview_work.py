"""Previews as values that travel to processes, and the work that these do: look at images, fit, draw masks.

Streamlit is not imported here, because the processes import this module and little more.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.recent_values import RecentValues
from engine.imaging import class_maps, codec, metrics
from engine.imaging.class_maps import Reference
from engine.imaging.corrections import UNTOUCHED
from engine.imaging.left_out import NOTHING, LeftOut
from engine.imaging.metrics import ThresholdCounts
from engine.labelling import base
from engine.labelling.base import LabelParams, draw_mask, find_method, fit_state, look_at, shrink, values_for
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.quality import Quality, assess
from engine.prediction.correct_next import doubtful_spot
from engine.store.base import StoredFile


@dataclass(frozen=True)
class Source:
    """A picture to draw on: where it lies and, where there is truth, the class of each of its 256 grey values."""

    content_hash: str
    longest_side_px: int
    image: Path | StoredFile
    truth: Path | StoredFile | None = None
    lookup: tuple[int, ...] = ()
    correction: StoredFile | None = None
    """What a person drew on it, for a method that learns from that."""
    cache: FeatureCache | None = None
    """For a method that computes features of images, of which it keeps some."""
    left_out: LeftOut = NOTHING
    name: str = ""
    """What people call it, for errors."""


@dataclass(frozen=True)
class Doubt:
    """Where a mask is in doubt: 8-bit PNG of its size, the mean in [0, 1], and the spot with most of it.

    The spot is (x, y) in shares of the image.
    """

    png: bytes
    mean: float
    spot: tuple[float, float]


@dataclass(frozen=True)
class Preview:
    """A drawn mask: 8-bit probability as PNG, its overlap with truth at 101 thresholds, and its label-free quality.

    `classes` is the most likely class of each pixel as PNG, empty where the recipe knows foreground alone;
    `class_counts` is the overlap of each class with truth, where that has several, too.
    `clusters` is the cluster of each pixel as PNG, of a method whose clusters a person ticks.
    `seconds` to draw it, and `judged_s` to judge it where it has a quality, are those of a processor, so that what else
    runs on the machine does not count.
    `error` is a sentence, and `png` then empty, where the method could not draw this picture.
    """

    png: bytes
    counts: ThresholdCounts | None
    seconds: float
    error: str = ""
    quality: Quality | None = None
    classes: bytes = b""
    clusters: bytes = b""
    class_counts: tuple[ThresholdCounts, ...] = ()
    doubt: Doubt | None = None
    """Of a method that learns from corrections: where to correct next."""
    judged_s: float = 0.0


@dataclass(frozen=True)
class Picture:
    """Image uint8 (H, W, 3) and its truth, or None, at the size of the preview."""

    image: np.ndarray
    truth: Reference | None

    @property
    def bytes(self) -> int:
        return self.image.nbytes + (0 if self.truth is None else self.truth.foreground.nbytes)


@dataclass(frozen=True)
class Task:
    """One mask to draw, or to judge where it is `drawn` already.

    `state` is what the method learned of the dataset, `state_key` a short name for it.
    """

    source: Source
    method: str
    params: LabelParams
    seed: int
    state: dict[str, Any] | None
    state_key: str
    picture: Picture | None
    judged: bool
    drawn: Preview | None = None

    @property
    def key(self) -> Hashable:
        return self.source, self.method, self.params.model_dump_json(), self.seed, self.state_key


@dataclass(frozen=True)
class Looking:
    """One image of the dataset for a method to look at."""

    source: Source
    method: str
    params: LabelParams
    seed: int

    @property
    def key(self) -> Hashable:
        values = json.dumps(values_for(self.params, "look"), sort_keys=True)
        drawn = self.source.correction.key if self.source.correction else ""
        depends_on = find_method(self.method).look_depends_on
        file = depends_on(self.params) if depends_on else ""
        return self.source.content_hash, self.method, values, self.seed, drawn, file, self.source.left_out.key


@dataclass(frozen=True)
class Fitting:
    """What a method saw of the dataset, pickled image by image, for it to learn from, or to draft a state from."""

    method: str
    params: LabelParams
    seed: int
    looks: tuple[bytes, ...] = ()
    draft: bool = False

    def key(self, tasks: Iterable[Looking]) -> Hashable:
        """Return what the state depends on that is learned from these images."""
        values = json.dumps(values_for(self.params, "fit"), sort_keys=True)
        return self.method, values, self.seed, self.draft, tuple(task.key for task in tasks)


@dataclass(frozen=True)
class Failure:
    sentence: str


_working: RecentValues[np.ndarray] = RecentValues(64_000_000)
"""Images at the size at which methods work: to decode a large one takes longer than all the rest."""


def _image(task: Looking) -> np.ndarray:
    source, side = task.source, task.params.longest_side_px
    key = source.image, source.content_hash, side, source.left_out.key
    image = _working.get(key)
    if image is None:
        image = shrink(source.left_out.filled(codec.decode_png(source.image.read_bytes())), side)
        _working.keep(key, image, image.nbytes)
    return image


def look(task: Looking) -> bytes | Failure:
    try:
        image = _image(task)
        corrected = task.source.correction
        drawn = task.source.left_out.marked(codec.decode_png(corrected.read_bytes())) if corrected else None
        return pickle.dumps(look_at(find_method(task.method), image, task.params, task.seed, drawn, task.source.cache))
    except Exception as error:
        return _failure(task, error)


def prepare(task: Looking) -> bool | Failure:
    try:
        image = _image(task)
        nothing = np.full(image.shape[:2], UNTOUCHED, np.uint8)
        look_at(find_method(task.method), image, task.params, task.seed, nothing, task.source.cache)
        return True
    except Exception as error:
        return _failure(task, error)


def _failure(task: Looking, error: Exception) -> Failure:
    sentence = str(error) or type(error).__name__
    return Failure(f"{task.source.name}: {sentence}" if task.source.name else sentence)


def fit(task: Fitting) -> dict[str, Any] | Failure:
    try:
        looks = [pickle.loads(look) for look in task.looks]
        return fit_state(find_method(task.method), looks, task.params, task.seed, draft=task.draft)
    except Exception as error:
        return Failure(str(error) or type(error).__name__)


def draw(task: Task) -> tuple[Preview, Picture | None]:
    """Draw one mask; return it, and the picture where it had to be loaded."""
    method = find_method(task.method)

    def mask(image: np.ndarray) -> np.ndarray:
        return base.draw(method, image, task.params, task.seed, task.state)

    try:
        picture = task.picture or _load(task.source, task.params.longest_side_px)
        started = time.process_time()
        if task.drawn:
            drawn, probability = None, codec.decode_png(task.drawn.png) / np.float32(255)
        else:
            drawn = draw_mask(method, picture.image, task.params, task.seed, task.state, task.source.cache)
            probability = task.source.left_out.cleared(drawn.probability)
        drawn_at = time.process_time()
        quality = assess(picture.image, probability, mask) if task.judged else None
        judged_s = time.process_time() - drawn_at
    except Exception as error:  # one picture that cannot be drawn must not take the others' masks away
        return failed(str(error) or type(error).__name__), None
    kept = None if task.picture else picture
    if task.drawn:
        return replace(task.drawn, judged_s=judged_s, quality=quality), kept
    levels = metrics.probability_to_u8(probability)
    counts = None if picture.truth is None else metrics.threshold_counts(*picture.truth.beside(levels))
    seconds = drawn_at - started
    preview = Preview(codec.encode_png(levels), counts, seconds, quality=quality, judged_s=judged_s)
    if drawn and drawn.classes is not None:
        each = _class_counts(levels, drawn.classes, picture.truth, class_maps.class_count(task.source.lookup))
        preview = replace(preview, classes=codec.encode_png(drawn.classes), class_counts=each)
    if drawn and method.clusters is not None:
        numbers = base.cluster_map(method, picture.image, task.params, task.seed, task.state)
        preview = replace(preview, clusters=b"" if numbers is None else codec.encode_png(numbers))
    if drawn and method.learns_from_corrections:
        preview = replace(preview, doubt=_doubt(task.source.left_out.cleared(drawn.doubt)))
    return preview, kept


def _doubt(doubt: np.ndarray) -> Doubt:
    height, width = doubt.shape
    mean, (x, y) = doubtful_spot(doubt, doubt.shape)
    return Doubt(codec.encode_png(metrics.probability_to_u8(doubt)), mean, ((x + 0.5) / width, (y + 0.5) / height))


def _class_counts(
    levels: np.ndarray, likely: np.ndarray, truth: Reference | None, classes: int
) -> tuple[ThresholdCounts, ...]:
    """Return the overlap with truth of the pixels of each class, where truth has several."""
    if truth is None or truth.classes is None:
        return ()
    found = []
    for index in range(1, classes + 1):
        reference = Reference(truth.class_map == index, truth.ignored)
        values, foreground = reference.beside(levels)
        own, _ = reference.beside(likely == index)
        counts = metrics.threshold_counts(values[own], foreground[own])
        found.append(counts._replace(reference=int(foreground.sum())))
    return tuple(found)


def _load(source: Source, longest_side_px: int) -> Picture:
    image = shrink(source.left_out.filled(codec.decode_png(source.image.read_bytes())), longest_side_px)
    if source.truth is None:
        return Picture(image, None)
    values = codec.decode_png(source.truth.read_bytes())
    return Picture(image, source.left_out.reference(values, source.lookup).resized(image.shape[:2]))


def failed(sentence: str) -> Preview:
    return Preview(b"", None, 0.0, sentence)
