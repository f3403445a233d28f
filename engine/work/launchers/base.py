"""How a worker is started. The database is the queue; a launcher only sees to it that somebody works on it."""

from __future__ import annotations

from typing import Protocol


class Launcher(Protocol):
    """Starts workers, one file per place where they can run."""

    def submit(self, job_id: str) -> None:
        """Make sure that a worker will look at the queue, in which `job_id` now waits. Returns at once.

        Calling it too often does no harm: a worker that finds nothing to claim ends.
        """
