"""Workers that a command starts on other machines, such as `sbatch --wrap '{worker}'`.

Each is requested by a row first (`db.launches`) and joins with its id. The command is run without a shell; secrets are
in its environment only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from db import launches
from db.columns import utc_now
from db.models import Launch
from db.session import Database
from engine.core.logs import FOLDER as LOGS
from engine.core.redaction import redacted, secrets_of
from engine.core.settings import REPOSITORY_ROOT, Settings
from engine.work.launchers.local import LocalLauncher
from engine.work.registration import capacity_here

FOLDER = "launches"
"""Below DATA_ROOT/logs: what each command printed."""
LEAST_MEMORY_MB = 4000
"""What {memory} stands for where the job asks for none: about twice what a small training takes."""
LONGEST_LINE = 300
KEPT_LOGS = 1000
"""As many as workers can be at once: ssh writes to that of its worker until this ends."""

log = logging.getLogger("maskloom.launcher")


class CommandLauncher:
    """Starts workers of this machine as `local` does, and others by LAUNCH_COMMAND."""

    name = "command"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = LocalLauncher(settings)
        self._begun: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, job_id: str) -> None:
        """Start a worker of this machine, unless MAX_WORKERS is 0."""
        self._local.submit(job_id)

    def look_after(self, database: Database) -> None:
        """Store which commands have failed, then request the workers that are needed and start their commands."""
        current, here = self._settings, capacity_here(self._settings)
        rules = launches.Rules(
            self.name,
            current.launch_limit,
            current.launch_timeout_s,
            current.lost_after_s,
            current.tags_elsewhere,
        )
        self._collect(database)
        with database.reading() as session:
            idle = not launches.pending(session) and not launches.needed(
                session, rules, here, current.max_workers, utc_now()
            )
        if idle:
            return
        with database.writing() as session:
            requested = launches.request(session, rules, here, current.max_workers, utc_now())
        for launch in requested:
            self._start(database, launch)
        if requested:
            self._delete_old_logs()

    def command(self, launch: Launch) -> list[str]:
        """Return the command that starts the requested worker, with its arguments. It holds no secret."""
        options = worker_options(launch, self._settings)
        values = {
            "{worker}": shlex.join([sys.executable, "-m", "engine", "worker", "--join", *options]),
            "{options}": shlex.join(options),
            "{gpu}": str(int(launch.needs_gpu)),
            "{memory}": str(launch.needs_memory_mb or LEAST_MEMORY_MB),
        }
        arguments = shlex.split(self._settings.launch_command)
        for name, value in values.items():
            arguments = [argument.replace(name, value) for argument in arguments]
        return arguments

    def _start(self, database: Database, launch: Launch) -> None:
        command = self.command(launch)
        try:
            process = self._popen(command, self._log(launch.id))
        except OSError as error:
            self._fail(database, launch.id, f"{command[0]!r} cannot be run: {error.strerror or error}.")
            return
        self._begun[launch.id] = process
        threading.Thread(target=process.wait, daemon=True).start()  # or it stays as a zombie where nobody looks again

    def _popen(self, command: list[str], output: Path) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own: it outlives the app, as `ssh` has to."""
        output.parent.mkdir(parents=True, exist_ok=True)
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            return subprocess.Popen(
                command,
                cwd=REPOSITORY_ROOT,
                env=self._settings.as_environment(),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                **apart,
            )
        finally:
            os.close(descriptor)

    def _collect(self, database: Database) -> None:
        for launch_id, process in list(self._begun.items()):
            code = process.poll()
            if code:
                said = self._last_line(launch_id).rstrip(".") or "The command said nothing"
                self._fail(database, launch_id, f"{said} (exit code {code}).")
            if code is not None:
                del self._begun[launch_id]

    def _fail(self, database: Database, launch_id: str, why: str) -> None:
        sentence = redacted(f"A worker could not be started. {why}", secrets_of(self._settings)).strip(" .") + "."
        with database.writing() as session:
            failed = launches.fail(session, launch_id, sentence)
        if failed:
            log.warning("%s", sentence, extra={"event": "launch_failed"})

    def _log(self, launch_id: str) -> Path:
        return self._settings.data_root / LOGS / FOLDER / f"{launch_id}.txt"

    def _delete_old_logs(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # another app deletes them as well
            folder = self._settings.data_root / LOGS / FOLDER
            for path in sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime)[:-KEPT_LOGS]:
                path.unlink()

    def _last_line(self, launch_id: str) -> str:
        try:
            text = self._log(launch_id).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # Half a secret would not be known as one
        return redacted(lines[-1], secrets_of(self._settings))[:LONGEST_LINE] if lines else ""


def worker_options(launch: Launch, settings: Settings) -> list[str]:
    """Return the options of `worker --join` for a requested worker."""
    tags = [option for tag in settings.tags_elsewhere for option in ("--tag", tag)]
    return ["--launch", launch.id, "--end-when-idle", f"{settings.launch_idle_s:g}", *tags]


LAUNCHER = CommandLauncher
