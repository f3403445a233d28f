"""Masks drawn while a person moves sliders: small pictures, a few warm processes, a memory of what was drawn.

Streamlit is not imported here, because the processes that draw import this module and little more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from engine import imaging, metrics
from engine.metrics import ThresholdCounts
from engine.pseudo_labels.base import LabelParams, draw, find_method, methods, shrink

PREVIEW_PX = 256
POLL_S = 0.05
REBUILDS = 2
"""How often one drawing survives that its processes die, before it says so instead of drawing."""

V = TypeVar("V")


@dataclass(frozen=True)
class Source:
    """A picture to draw on: where it lies and, where there is truth, the class of each of its 256 grey values."""

    content_hash: str
    longest_side_px: int
    image_path: Path
    truth_path: Path | None = None
    lookup: tuple[int, ...] = ()


@dataclass(frozen=True)
class Preview:
    """A drawn mask: 8-bit probability as PNG, its overlap with truth at 101 thresholds, and the seconds it took.

    Seconds are those of a processor, so that what else runs on the machine does not count.
    `error` is a sentence, and `png` then empty, where the method could not draw this picture.
    """

    png: bytes
    counts: ThresholdCounts | None
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class _Picture:
    """Image uint8 (H, W, 3) and truth bool (H, W), or None, at the size of the preview."""

    image: np.ndarray
    truth: np.ndarray | None

    @property
    def bytes(self) -> int:
        return self.image.nbytes + (0 if self.truth is None else self.truth.nbytes)


@dataclass(frozen=True)
class _Task:
    source: Source
    method: str
    params: LabelParams
    seed: int
    picture: _Picture | None = None

    @property
    def picture_key(self) -> Hashable:
        return self.source, self.params.longest_side_px

    @property
    def key(self) -> Hashable:
        return self.source, self.method, self.params.model_dump_json(), self.seed


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
    for name, schema in type(params).model_json_schema()["properties"].items():
        if schema.get("unit") == "px" and name not in changes:
            value = getattr(params, name) * limit_px / full_px
            value = round(value) if schema["type"] == "integer" else value
            changes[name] = max(value, schema.get("minimum", value))
    return params.model_copy(update=changes)


class PreviewPool:
    """Draws previews on processes of its own. Safe to use from several threads; `close` ends the processes.

    Args:
        memory_bytes: how much the remembered masks, and as much again the small pictures, may take.
    """

    def __init__(self, workers: int = 2, memory_bytes: int = 64_000_000) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._drawn: _Recent[Preview] = _Recent(memory_bytes)
        self._pictures: _Recent[_Picture] = _Recent(memory_bytes)

    def draw(
        self,
        method: str,
        params: LabelParams,
        sources: Sequence[Source],
        *,
        limit_px: int | None = PREVIEW_PX,
        seed: int = 0,
        while_waiting: Callable[[int], None] = lambda done: None,
    ) -> list[Preview]:
        """Return the preview of each source, drawn now where it was not drawn before.

        Args:
            limit_px: the longest side to draw at (see `preview_params`).
            while_waiting: called many times a second with the number drawn. It may raise to give up: what has not
                begun is then dropped, so that a newer position of a slider does not wait behind this one.
        """
        tasks = [
            _Task(source, method, preview_params(params, limit_px, source.longest_side_px), seed) for source in sources
        ]
        found = {task.key: preview for task in tasks if (preview := self._drawn.get(task.key)) is not None}
        missing = {task.key: task for task in tasks if task.key not in found}
        for task, preview in self._draw_all(deque(missing.values()), lambda: while_waiting(len(found))):
            found[task.key] = preview
        return [found[task.key] for task in tasks]

    def _draw_all(self, queue: deque[_Task], while_waiting: Callable[[], None]) -> Iterator[tuple[_Task, Preview]]:
        flying: dict[Future[tuple[Preview, _Picture | None]], tuple[_Task, ProcessPoolExecutor]] = {}
        broken: set[ProcessPoolExecutor] = set()
        try:
            while queue or flying:
                # One more than there are processes: none idles between two pictures, and little is drawn in vain.
                while queue and len(flying) <= self._workers:
                    task = queue.popleft()
                    future, executor = self._submit(replace(task, picture=self._pictures.get(task.picture_key)))
                    flying[future] = task, executor
                landed, _ = wait(flying, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in landed:
                    task, executor = flying.pop(future)
                    try:
                        yield task, self._keep(task, *future.result())
                    except BrokenProcessPool:
                        self._discard(executor)
                        broken.add(executor)
                        if len(broken) > REBUILDS:
                            yield task, _failed("The drawing process died. Memory may be short: try a smaller size.")
                        else:
                            queue.append(task)
                while_waiting()
        finally:
            for future in flying:
                future.cancel()

    def _keep(self, task: _Task, preview: Preview, loaded: _Picture | None) -> Preview:
        if loaded is not None:
            self._pictures.put(task.picture_key, loaded, loaded.bytes)
        if not preview.error:
            self._drawn.put(task.key, preview, len(preview.png) + 2048)
        return preview

    def _submit(self, task: _Task) -> tuple[Future[Any], ProcessPoolExecutor]:
        with self._lock:
            if self._executor is None:
                self._executor = _start(self._workers)
            executor = self._executor
        try:
            return executor.submit(_draw, task), executor
        except RuntimeError:  # broken, or another thread has just found it so and shut it down
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool())
            return future, executor

    def _discard(self, executor: ProcessPoolExecutor) -> None:
        executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._executor is executor:
                self._executor = None

    def close(self) -> None:
        """End the processes after the pictures they are at. A later `draw` starts new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)


class _Recent(Generic[V]):
    """Values by key, at most `limit_bytes` together; what was used longest ago goes first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._total_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: V, size_bytes: int) -> None:
        with self._lock:
            self._total_bytes += size_bytes - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = value, size_bytes
            while self._total_bytes > self._limit_bytes and len(self._entries) > 1:
                self._total_bytes -= self._entries.popitem(last=False)[1][1]


# What follows starts the processes, and runs in them.


class _BareProcess(SpawnProcess):
    """A process that does not load its parent's main module: under Streamlit that is the page itself."""

    _swap = threading.Lock()

    def start(self) -> None:
        with self._swap:
            main, nothing = sys.modules["__main__"], types.ModuleType("__main__")
            sys.modules["__main__"] = nothing
            try:
                super().start()
            finally:
                if sys.modules["__main__"] is nothing:
                    sys.modules["__main__"] = main


class _BareContext(SpawnContext):
    Process = _BareProcess


def _start(workers: int) -> ProcessPoolExecutor:
    executor = ProcessPoolExecutor(workers, mp_context=_BareContext(), initializer=_prepare)
    for _ in range(workers):
        executor.submit(_import_methods)
    return executor


def _import_methods() -> None:
    methods()


def _prepare() -> None:
    import cv2

    cv2.setNumThreads(1)  # one process per core needs no threads within
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which then ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed app cannot end its processes, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw(task: _Task) -> tuple[Preview, _Picture | None]:
    """Draw one mask; return it, and the picture where it had to be loaded."""
    try:
        picture = task.picture or _load(task.source, task.params.longest_side_px)
        started = time.process_time()
        probability = draw(find_method(task.method), picture.image, task.params, task.seed)
        seconds = time.process_time() - started
    except Exception as error:  # one picture that cannot be drawn must not take the others' masks away
        return _failed(str(error) or type(error).__name__), None
    levels = metrics.probability_to_u8(probability)
    counts = None if picture.truth is None else metrics.threshold_counts(levels, picture.truth)
    preview = Preview(imaging.encode_png(levels), counts, seconds)
    return preview, None if task.picture else picture


def _load(source: Source, longest_side_px: int) -> _Picture:
    image = shrink(imaging.decode_png(source.image_path.read_bytes()), longest_side_px)
    if source.truth_path is None:
        return _Picture(image, None)
    values = imaging.decode_png(source.truth_path.read_bytes())
    truth = np.asarray(source.lookup, np.uint8)[values] > 0
    return _Picture(image, imaging.resize_mask(truth, image.shape[:2]))


def _failed(sentence: str) -> Preview:
    return Preview(b"", None, 0.0, sentence)
