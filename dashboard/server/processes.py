"""A few warm processes that draw for the page: they start with the first work, and end with the app.

Streamlit is not imported here, because the processes import this module and little more.
"""

from __future__ import annotations

import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from engine.core.processes import prepare_process
from engine.labelling.base import methods

POLL_S = 0.05
REBUILDS = 2
"""How often one piece of work survives that its processes die, before it is given up."""

T = TypeVar("T")
R = TypeVar("R")


class Processes:
    """Processes that work for several threads of the app at once."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None

    def run(
        self, work: Callable[[T], R], tasks: Iterable[T], while_waiting: Callable[[], None]
    ) -> Iterator[tuple[T, R | None]]:
        """Yield (task, what `work` made of it) as each is done; None where its process died again and again.

        Args:
            work: a function of a module, for it runs elsewhere.
            while_waiting: called many times a second. It may raise to give up: what has not begun is then dropped.
        """
        queue = deque(tasks)
        flying: dict[Future[R], tuple[T, ProcessPoolExecutor]] = {}
        broken: set[ProcessPoolExecutor] = set()
        try:
            while queue or flying:
                # One more than there are processes: none idles between two pieces, and little is done in vain.
                while queue and len(flying) <= self._workers:
                    task = queue.popleft()
                    future, executor = self._submit(work, task)
                    flying[future] = task, executor
                landed, _ = wait(flying, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in landed:
                    task, executor = flying.pop(future)
                    try:
                        yield task, future.result()
                    except BrokenProcessPool:
                        self._discard(executor)
                        broken.add(executor)
                        if len(broken) > REBUILDS:
                            yield task, None
                        else:
                            queue.append(task)
                while_waiting()
        finally:
            for future in flying:
                future.cancel()

    def _submit(self, work: Callable[[T], R], task: T) -> tuple[Future[R], ProcessPoolExecutor]:
        with self._lock:
            if self._executor is None:
                self._executor = _start(self._workers)
            executor = self._executor
        try:
            return executor.submit(work, task), executor
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
        """End the processes after what they are at. Later work starts new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)


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
    executor = ProcessPoolExecutor(workers, mp_context=_BareContext(), initializer=prepare_process)
    for _ in range(workers):
        executor.submit(_import_methods)
    return executor


def _import_methods() -> None:
    methods()
