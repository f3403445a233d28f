"""A limit on the memory of one job: it is asked to stop first, and ended at once if it continues or runs away.

The system's limit on address space does not fit: TensorFlow reserves many times what it uses. So the worker measures
what it and its processes really hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal

import psutil

GRACE_S = 30.0
"""How long a job that was asked to stop may take: a training step and storing a model fit into this."""

RUNAWAY = 1.5
"""At this many times the limit the job is ended without being asked: the machine is about to stall."""


def held_bytes() -> int:
    """Return the memory in bytes that this process and all below it hold, without what they share.

    Shared libraries and mapped files would be counted once for each process, and the system takes them back when it
    needs to.
    """
    total = 0
    for process in [psutil.Process(), *child_processes()]:
        with contextlib.suppress(psutil.Error):  # it has just ended
            memory = process.memory_info()
            total += memory.rss - getattr(memory, "shared", 0)
    return total


def child_processes() -> list[psutil.Process]:
    """Return the processes below this one, at any depth."""
    return psutil.Process().children(recursive=True)


class MemoryWatch:
    """Decides what to do about a job's memory; a limit of 0 is none."""

    def __init__(self, limit_mb: int, held: Callable[[], int] = held_bytes) -> None:
        self._limit_mb, self._held = limit_mb, held
        self._over_since: float | None = None
        self.sentence = ""
        """Why the job ends, once it does: names the rule and both values."""

    def check(self, now_s: float) -> Literal["fine", "stop", "end"]:
        """Return "stop" from the moment the limit is passed, and "end" when that has not helped. `now_s` is monotonic.

        A job that was asked to stop stays so, even if its memory falls again.
        """
        if not self._limit_mb:
            return "fine"
        held_mb = self._held() / 1e6
        if self._over_since is None:
            if held_mb <= self._limit_mb:
                return "fine"
            self._over_since = now_s
            self.sentence = (
                f"The job took {held_mb:,.0f} MB of memory, and one job may take {self._limit_mb:,} MB "
                "(MEMORY_PER_JOB_MB). What was finished is kept."
            )
        late = now_s - self._over_since > GRACE_S and held_mb > self._limit_mb
        return "end" if late or held_mb > RUNAWAY * self._limit_mb else "stop"
