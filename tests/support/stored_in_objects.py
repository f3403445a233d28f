"""An installation whose files are in an object store, and workers that join it with a folder of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db import workers
from db.session import Database
from engine import VERSION
from engine.care.belonging import remember_start
from engine.core.settings import Settings, sqlite_url
from engine.store.objects import ObjectStore
from tests.support.installation import REPOSITORY
from tests.support.workers import kill_worker


@dataclass
class ObjectInstallation:
    """One installation: its settings, its database (migrated) and its files in an object store."""

    settings: Settings
    database: Database
    files: ObjectStore

    def open_app(self) -> None:
        """Do what an app does that opens it, so that workers can join."""
        with self.database.writing() as session:
            start = workers.register_app(session, socket.gethostname(), 1, VERSION)
        remember_start(self.files, start)

    def elsewhere(self, root: Path) -> dict[str, str]:
        """Return the environment of another machine: the same database and object store, a folder of its own."""
        url = self.settings.database_url or sqlite_url(self.settings.data_root / "app.db")
        return self.settings.as_environment() | {"DATA_ROOT": str(root), "DATABASE_URL": url}

    @contextmanager
    def joined(self, root: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker of another machine, and end it with the processes below it."""
        log = root.parent / f"{root.name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "engine", "worker", "--join"],
                cwd=REPOSITORY,
                env={**os.environ, **self.elsewhere(root)},
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            kill_worker(process)
