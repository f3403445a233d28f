"""Workers as processes of this machine."""

from __future__ import annotations

import subprocess
import sys

from engine.settings import REPOSITORY_ROOT, Settings


class LocalLauncher:
    """Starts `python -m engine.worker` in a session of its own, so that it outlives the dashboard."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: list[subprocess.Popen[bytes]] = []

    def submit(self, job_id: str) -> None:
        """Start a worker. Its output outside of jobs goes to DATA_ROOT/jobs/workers.log."""
        self._started = [process for process in self._started if process.poll() is None]
        log = self._settings.data_root / "jobs" / "workers.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        apart = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
            if sys.platform == "win32"
            else {"start_new_session": True}
        )
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "engine.worker"],
                cwd=REPOSITORY_ROOT,
                env=self._settings.as_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **apart,
            )
        self._started.append(process)
