"""How fast a job goes, for its progress text and the time it still needs."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Images per second since the first report, pauses included.

    What starting up takes does not count, and neither a slow first batch nor a validation between two epochs makes
    the number leap: it changes the slower the longer the job has run.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def per_s(self, done: int) -> float:
        """Return images per second when `done` images are behind us; 0 before it can be told."""
        now = self._clock()
        if self._first is None:
            self._first = now, done
        began, before = self._first
        return (done - before) / (now - began) if now > began else 0.0

    def words(self, done: int) -> str:
        """Return ", 45.3 images/s" to end a progress text with; nothing before it can be told."""
        speed = self.per_s(done)
        return f", {speed:.1f} images/s" if speed > 0 else ""
