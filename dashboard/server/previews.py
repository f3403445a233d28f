"""Masks drawn while a person moves sliders: small pictures, a few warm processes, a memory of what was drawn.

Streamlit is not imported here, because the processes that draw import this module and little more.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.server.byte_cache import RecentValues
from dashboard.server.processes import Processes
from engine.core.parameters import field_schemas
from engine.imaging import class_maps, codec, metrics
from engine.imaging.class_maps import Reference
from engine.imaging.left_out import NOTHING, LeftOut
from engine.imaging.metrics import ThresholdCounts
from engine.labelling.base import (
    LabelParams,
    draw,
    draw_classes,
    find_method,
    fit_state,
    look_at,
    shrink,
    values_for,
)
from engine.labelling.quality import Quality, assess
from engine.store.base import StoredFile

PREVIEW_PX = 256
DIED = "The drawing process died. Memory may be short: try a smaller size."


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
    left_out: LeftOut = NOTHING


@dataclass(frozen=True)
class Preview:
    """A drawn mask: 8-bit probability as PNG, its overlap with truth at 101 thresholds, and its label-free quality.

    `classes` is the most likely class of each pixel as PNG, empty where the recipe knows foreground alone;
    `class_counts` is the overlap of each class with truth, where that has several, too.
    `seconds` to draw it, and to judge it where it has a quality, are those of a processor, so that what else runs on
    the machine does not count.
    `error` is a sentence, and `png` then empty, where the method could not draw this picture.
    """

    png: bytes
    counts: ThresholdCounts | None
    seconds: float
    error: str = ""
    quality: Quality | None = None
    classes: bytes = b""
    class_counts: tuple[ThresholdCounts, ...] = ()


@dataclass(frozen=True)
class _Picture:
    """Image uint8 (H, W, 3) and its truth, or None, at the size of the preview."""

    image: np.ndarray
    truth: Reference | None

    @property
    def bytes(self) -> int:
        return self.image.nbytes + (0 if self.truth is None else self.truth.foreground.nbytes)


@dataclass(frozen=True)
class _Task:
    """One mask to draw, or to judge where it is `drawn` already.

    `state` is what the method learned of the dataset, `state_key` a short name for it.
    """

    source: Source
    method: str
    params: LabelParams
    seed: int
    state: dict[str, Any] | None
    state_key: str
    picture: _Picture | None
    judged: bool
    drawn: Preview | None = None

    @property
    def key(self) -> Hashable:
        return self.source, self.method, self.params.model_dump_json(), self.seed, self.state_key


@dataclass(frozen=True)
class _Looking:
    """One image of the dataset for a method to look at."""

    source: Source
    method: str
    params: LabelParams
    seed: int

    @property
    def key(self) -> Hashable:
        values = json.dumps(values_for(self.params, "look"), sort_keys=True)
        drawn = self.source.correction.key if self.source.correction else ""
        return self.source.content_hash, self.method, values, self.seed, drawn, self.source.left_out.key


@dataclass(frozen=True)
class _Fitting:
    """What a method saw of the dataset, pickled image by image, for it to learn from."""

    method: str
    params: LabelParams
    seed: int
    looks: tuple[bytes, ...]


@dataclass(frozen=True)
class _Failure:
    sentence: str


def preview_params(params: LabelParams, limit_px: int | None, picture_px: int) -> LabelParams:
    """Return the parameters that draw a picture at most `limit_px` large as `params` draw it at their own size.

    Lengths in pixels shrink with the picture, within their limits; a picture that is small enough changes nothing.

    Args:
        limit_px: the preview's longest side; None is as large as `params` say.
        picture_px: the picture's longest side.
    """
    full_px = min(params.longest_side_px, picture_px)
    if limit_px is None or full_px <= limit_px:
        return params
    changes: dict[str, Any] = {"longest_side_px": limit_px}
    for name, schema in field_schemas(type(params)).items():
        if schema.get("unit") == "px" and name not in changes:
            value = getattr(params, name) * limit_px / full_px
            value = round(value) if schema["type"] == "integer" else value
            changes[name] = max(value, schema.get("minimum", value))
    return params.model_copy(update=changes)


class PreviewPool:
    """Draws previews on processes of its own. Safe to use from several threads; `close` ends the processes.

    Args:
        memory_bytes: how much the remembered masks may take, and as much again each the small pictures and what
            methods saw of the images.
    """

    def __init__(self, workers: int = 2, memory_bytes: int = 64_000_000) -> None:
        self._processes = Processes(workers)
        self._drawn: RecentValues[Preview] = RecentValues(memory_bytes)
        self._pictures: RecentValues[_Picture] = RecentValues(memory_bytes)
        self._looks: RecentValues[bytes] = RecentValues(memory_bytes)
        self._states: RecentValues[dict[str, Any]] = RecentValues(memory_bytes // 8)

    def fit(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        seed: int = 0,
        while_waiting: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, Any] | None:
        """Return what a method learns from the images of `sources`; None if it is one that learns nothing.

        An image is looked at once for all parameters that looking does not depend on.

        Args:
            sources: the images that `base.fit_sample` picks of the dataset, in its order.
            while_waiting: called many times a second with the number of images seen and of all. It may raise to give
                up; what was seen by then is remembered.

        Raises:
            ValueError: an image could not be looked at, or there is nothing to learn from them.
        """
        if find_method(method).fit is None:
            return None
        tasks = [_Looking(source, method, params, seed) for source in sources]
        fitted = json.dumps(values_for(params, "fit"), sort_keys=True)
        key = method, fitted, seed, tuple(task.key for task in tasks)
        state = self._states.get(key)
        if state is None:
            looks = self._look(tasks, while_waiting)
            fitting = _Fitting(method, params, seed, tuple(looks[task.key] for task in tasks))
            made = self._processes.run(_fit, [fitting], lambda: while_waiting(len(tasks), len(tasks)))
            [state] = [_unless_failed(state) for _, state in made]
            self._states.keep(key, state, len(json.dumps(state)))
        return state

    def _look(self, tasks: Sequence[_Looking], while_waiting: Callable[[int, int], None]) -> dict[Hashable, bytes]:
        found = {task.key: look for task in tasks if (look := self._looks.get(task.key)) is not None}
        missing = {task.key: task for task in tasks if task.key not in found}
        for task, made in self._processes.run(_look, missing.values(), lambda: while_waiting(len(found), len(tasks))):
            look = found[task.key] = _unless_failed(made)
            self._looks.keep(task.key, look, len(look))
        return found

    def draw(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        limit_px: int | None = PREVIEW_PX,
        seed: int = 0,
        state: dict[str, Any] | None = None,
        judged: bool = True,
        while_waiting: Callable[[int], None] = lambda done: None,
    ) -> list[Preview]:
        """Return the preview of each source, drawn now where it was not drawn before.

        Args:
            limit_px: the longest side to draw at (see `preview_params`).
            state: what the method learned of the dataset (see `fit`), for methods that need it.
            judged: whether a preview must have its quality. To judge a mask takes longer than to draw it, so a page
                shows masks first and judges them then.
            while_waiting: called many times a second with the number drawn. It may raise to give up: what has not
                begun is then dropped, so that a newer position of a slider does not wait behind this one.
        """
        state_key = "" if state is None else hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
        tasks = []
        for source in sources:
            smaller = preview_params(params, limit_px, source.longest_side_px)
            picture = self._pictures.get((source, smaller.longest_side_px))
            task = _Task(source, method, smaller, seed, state, state_key, picture, judged)
            tasks.append(replace(task, drawn=self._drawn.get(task.key)))
        found = {task.key: task.drawn for task in tasks if task.drawn and (task.drawn.quality or not judged)}
        missing = {task.key: task for task in tasks if task.key not in found}
        for task, made in self._processes.run(_draw, missing.values(), lambda: while_waiting(len(found))):
            found[task.key] = self._keep(task, *(made or (_failed(DIED), None)))
        return [found[task.key] for task in tasks]

    def _keep(self, task: _Task, preview: Preview, loaded: _Picture | None) -> Preview:
        if loaded is not None:
            self._pictures.keep((task.source, task.params.longest_side_px), loaded, loaded.bytes)
        if not preview.error:
            self._drawn.keep(task.key, preview, len(preview.png) + len(preview.classes) + 2048)
        return preview

    def close(self) -> None:
        """End the processes after the pictures they are at. A later `draw` starts new ones."""
        self._processes.close()


def _unless_failed(made: Any) -> Any:
    if made is None or isinstance(made, _Failure):
        raise ValueError(DIED if made is None else made.sentence)
    return made


# What follows runs in the processes.


def _look(task: _Looking) -> bytes | _Failure:
    try:
        left_out = task.source.left_out
        image = left_out.filled(codec.decode_png(task.source.image.read_bytes()))
        corrected = task.source.correction
        drawn = left_out.marked(codec.decode_png(corrected.read_bytes())) if corrected else None
        return pickle.dumps(look_at(find_method(task.method), image, task.params, task.seed, drawn))
    except Exception as error:
        return _Failure(str(error) or type(error).__name__)


def _fit(task: _Fitting) -> dict[str, Any] | _Failure:
    try:
        return fit_state(find_method(task.method), [pickle.loads(look) for look in task.looks], task.params, task.seed)
    except Exception as error:
        return _Failure(str(error) or type(error).__name__)


def _draw(task: _Task) -> tuple[Preview, _Picture | None]:
    """Draw one mask; return it, and the picture where it had to be loaded."""
    method = find_method(task.method)

    def mask(image: np.ndarray) -> np.ndarray:
        return draw(method, image, task.params, task.seed, task.state)

    try:
        picture = task.picture or _load(task.source, task.params.longest_side_px)
        started = time.process_time()
        likely = None
        if task.drawn:
            probability = codec.decode_png(task.drawn.png) / np.float32(255)
        else:
            probability, likely = draw_classes(method, picture.image, task.params, task.seed, task.state)
            probability = task.source.left_out.cleared(probability)
        quality = assess(picture.image, probability, mask) if task.judged else None
        seconds = time.process_time() - started
    except Exception as error:  # one picture that cannot be drawn must not take the others' masks away
        return _failed(str(error) or type(error).__name__), None
    kept = None if task.picture else picture
    if task.drawn:
        return replace(task.drawn, seconds=task.drawn.seconds + seconds, quality=quality), kept
    levels = metrics.probability_to_u8(probability)
    counts = None if picture.truth is None else metrics.threshold_counts(*picture.truth.beside(levels))
    preview = Preview(codec.encode_png(levels), counts, seconds, quality=quality)
    if likely is not None:
        each = _class_counts(levels, likely, picture.truth, class_maps.class_count(task.source.lookup))
        preview = replace(preview, classes=codec.encode_png(likely), class_counts=each)
    return preview, kept


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


def _load(source: Source, longest_side_px: int) -> _Picture:
    image = shrink(source.left_out.filled(codec.decode_png(source.image.read_bytes())), longest_side_px)
    if source.truth is None:
        return _Picture(image, None)
    values = codec.decode_png(source.truth.read_bytes())
    return _Picture(image, source.left_out.reference(values, source.lookup).resized(image.shape[:2]))


def _failed(sentence: str) -> Preview:
    return Preview(b"", None, 0.0, sentence)
