"""The processes of a label job: one for each core."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from engine.core.processes import prepare_process
from engine.work.context import JobFailed

T = TypeVar("T")
R = TypeVar("R")


class Processes:
    """One process for each core, started when there is work for more than one; ended with the `with` block."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterable[R]:
        """Yield what `work`, a function of a module, makes of each task, in their order."""
        cores = os.cpu_count() or 1
        if min(len(tasks), cores) <= 1:
            return map(work, tasks)
        if self._executor is None:
            # Spawned, not forked: forking a process that has threads (the heartbeat) can deadlock.
            spawned = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(cores, mp_context=spawned, initializer=prepare_process)
        return self._results(self._executor.map(work, tasks))

    def _results(self, results: Iterator[R]) -> Iterator[R]:
        try:
            yield from results
        except BrokenProcessPool:
            raise JobFailed(
                "A process that draws was killed, most likely because memory ran out. Lower 'longest_side_px' or end "
                "other programs, then go on: what is drawn is kept."
            ) from None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
