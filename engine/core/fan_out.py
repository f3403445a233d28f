"""Spreading work on single images over processes: those of this machine, or more where a worker provides them."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from engine.core import machine
from engine.core.processes import prepare_process

AHEAD = 16
"""Tasks for each process that are begun before the oldest has a result; one that takes long holds up no other."""

KILLED = "A process was killed, most likely because memory ran out. End other programs, then retry."

T = TypeVar("T")
R = TypeVar("R")


class ProcessKilled(Exception):
    """A process ended in the middle of its work. The message is a sentence."""


class Pool:
    """One process for each core that this process may use, started when there is work for more than one.

    Use as a context manager: at its end nothing is at work any more.
    """

    spreads = False
    """Whether it works on other machines as well."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None

    @property
    def cores(self) -> int:
        """How many tasks it works on at once: a batch scheduler may leave this process few cores of the machine."""
        return min(os.cpu_count() or 1, machine.cores())

    def map(self, work: Callable[[T], R], tasks: Iterable[T], count: int, ahead: int = AHEAD) -> Iterator[R]:
        """Yield what `work`, a function of a module, returns for each task, in their order.

        A task is taken from the iterable when it begins: at most `ahead` for each core before the oldest has a result.

        Args:
            count: how many tasks there are. One alone is worked on in this process.

        Raises:
            ProcessKilled: a process ended.
            Exception: whatever `work` raises, the first in the order of the tasks.
        """
        if min(count, self.cores) <= 1:
            yield from map(work, tasks)
            return
        left, begun, most = iter(tasks), deque[Any](), ahead * self.cores
        try:
            while True:
                begun.extend(self._begin(work, task) for task in islice(left, most - len(begun)))
                if not begun:
                    return
                yield self._result(begun.popleft())
        except BrokenProcessPool:
            raise ProcessKilled(KILLED) from None
        finally:
            self._cancel(begun)

    def _begin(self, work: Callable[[T], R], task: T) -> Any:
        """Begin a task; return what `_result` waits for."""
        return self._begin_here(work, task, self.cores)

    def _begin_here(self, work: Callable[[T], R], task: T, processes: int) -> Future[R]:
        if self._executor is None:
            # Spawned, not forked: forking a process that has threads (the heartbeat) can deadlock.
            spawned = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(processes, mp_context=spawned, initializer=prepare_process)
        return self._executor.submit(work, task)

    def _result(self, begun: Any) -> Any:
        return begun.result()

    def _cancel(self, begun: Iterable[Any]) -> None:
        for future in begun:
            future.cancel()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)


_open: Callable[[], Pool] = Pool


def use(opening: Callable[[], Pool]) -> None:
    """Let `pool` of this process return what `opening` does."""
    global _open
    _open = opening


def pool() -> Pool:
    """Return the processes for work on single images: of this machine, unless `use` has named others."""
    return _open()
