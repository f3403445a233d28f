"""How a worker is started. The database is the queue; a launcher only ensures that a worker looks at it."""

from __future__ import annotations

from typing import Protocol

from engine.core.settings import Settings


class Launcher(Protocol):
    """Starts workers, one file per place where they can run."""

    def __init__(self, settings: Settings) -> None: ...

    def submit(self, job_id: str) -> None:
        """Ensure that a worker will claim from the queue, in which `job_id` now waits. Returns at once.

        Calling it too often is harmless: a worker that has nothing to claim ends.
        """
