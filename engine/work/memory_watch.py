"""A limit on the memory of one job: asked to stop first, and ended at once if it goes on or runs away.

A limit of the system's on address space does not suit: TensorFlow reserves many times what it uses. So the worker looks
at what it and its processes really hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

GRACE_S = 30.0
"""How long a job that was asked to stop may take: a training step and storing a model fit into this."""

RUNAWAY = 1.5
"""At this many times the limit nothing is asked any more: the machine is about to stall."""

PROCESSES = Path("/proc")


def held_bytes(processes: Path = PROCESSES) -> int | None:
    """Return the memory that this process and all below it hold, without files they map; None if it is not told.

    Shared libraries and mapped files are left out: they would be counted once for each process, and the system takes
    them back when it needs to.
    """
    total = 0
    for process in family(os.getpid(), processes):
        try:
            resident, shared = (processes / str(process) / "statm").read_text().split()[1:3]
        except OSError:
            continue  # ended meanwhile
        total += (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return total or None


def family(process: int, processes: Path = PROCESSES) -> list[int]:
    """Return the ids of a process and of all below it."""
    found = [process]
    for parent in found:
        for thread in (processes / str(parent) / "task").glob("*/children"):
            try:
                found += [int(child) for child in thread.read_text().split()]
            except OSError:
                continue
    return found


class MemoryWatch:
    """Says what is to be done about a job's memory."""

    def __init__(self, limit_mb: int, held: Callable[[], int | None] = held_bytes) -> None:
        self._limit_mb, self._held = limit_mb, held
        self._over_since: float | None = None
        self.sentence = ""
        """Why the job ends, once it does: names the rule and both values."""

    def look(self, now_s: float) -> Literal["fine", "stop", "end"]:
        """Return "stop" from the moment the limit is passed, and "end" when that has not helped. `now_s` is monotonic.

        A job that was asked to stop stays so, also when its memory falls meanwhile.
        """
        held = self._held() if self._limit_mb else None
        held_mb = (held or 0) / 1e6
        if self._over_since is None:
            if held_mb <= self._limit_mb or not self._limit_mb:
                return "fine"
            self._over_since = now_s
            self.sentence = (
                f"The job took {held_mb:,.0f} MB of memory, and one job may take {self._limit_mb:,} MB "
                "(MEMORY_PER_JOB_MB). What was finished is kept."
            )
        late = now_s - self._over_since > GRACE_S and held_mb > self._limit_mb
        return "end" if late or held_mb > RUNAWAY * self._limit_mb else "stop"
