"""Workers as processes of this machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

from db.session import Database
from engine.core.settings import REPOSITORY_ROOT, Settings
from engine.store import keys as stored


def start_worker(settings: Settings, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `python -m engine.work.worker` in its own session: neither the end of this process nor Ctrl-C ends it.

    Its output outside of jobs goes to DATA_ROOT/jobs/workers.log.
    """
    log = settings.data_root / stored.JOBS / stored.WORKERS_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "engine.work.worker", *arguments],
            cwd=REPOSITORY_ROOT,
            env=settings.as_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **apart,
        )


class LocalLauncher:
    """Starts workers that outlive the dashboard."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def submit(self, job_id: str) -> None:
        """Start a worker, unless MAX_WORKERS is 0."""
        if self._settings.max_workers:
            process = start_worker(self._settings)
            # The exit status has to be collected, or the ended worker stays as a zombie.
            threading.Thread(target=process.wait, daemon=True).start()

    def look_after(self, database: Database) -> None:
        """There is nowhere else."""


LAUNCHER = LocalLauncher
