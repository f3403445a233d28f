"""How workers are started. The database is the queue; a launcher only ensures that workers look at it."""

from __future__ import annotations

from typing import Protocol

from db.session import Database
from engine.core.settings import Settings


class Launcher(Protocol):
    """Starts workers, one file per place where they can run."""

    def __init__(self, settings: Settings) -> None: ...

    def submit(self, job_id: str) -> None:
        """Ensure that a worker of this machine will claim from the queue, in which `job_id` waits. Returns at once.

        Calling it too often is harmless: a worker that has nothing to claim ends.
        """

    def look_after(self, database: Database) -> None:
        """Start workers elsewhere for jobs that no worker can take, and store which could not be started.

        Called every few seconds by the app and by commands that follow a job. Returns at once.
        """
