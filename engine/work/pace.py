"""How fast a job works, from which the remaining time follows."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Units per second since the first report, pauses included.

    Start-up time does not count, and neither a slow first batch nor a validation between two epochs makes the rate
    jump: the longer the job has run, the more slowly the rate changes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def rate(self, done: int) -> float | None:
        """Return units per second when `done` units are finished; None while nothing was finished since the start."""
        now = self._clock()
        if self._first is None:
            self._first = now, done
        began, before = self._first
        return (done - before) / (now - began) if now > began and done > before else None
