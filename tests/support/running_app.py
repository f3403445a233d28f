"""The real app as a process: `streamlit run` on a free port, emptied between tests instead of started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import text

from db.columns import Base
from db.session import Database
from engine.core.settings import Settings
from engine.store.local import LocalStore
from engine.store.opening import open_store
from tests.support.installation import REPOSITORY, Installation

APP = REPOSITORY / "dashboard" / "app.py"
START_S = 240.0
KEPT = {"app.db", "app.db-wal", "app.db-shm", "logs"}  # the running app has these open


@dataclass(frozen=True)
class RunningApp:
    """The app's address, its installation, the file with its output, and its process id."""

    address: str
    installation: Installation
    log: Path
    pid: int

    def empty(self) -> None:
        """Leave the installation as a new one has it: no worker, no row, no file. The app keeps running."""
        root = self.installation.settings.data_root
        end_workers(root)
        with self.installation.database.writing() as session:
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
        end_workers(root)  # the app may just have started one for a job that waited
        for path in root.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def end_workers(data_root: Path) -> None:
    """Kill the workers of an installation, with the processes that they started, and wait until they are gone."""
    while workers := [entry for entry in Path("/proc").glob("[0-9]*") if _is_worker(entry, data_root)]:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(worker.name), signal.SIGKILL)
        time.sleep(0.01)


def _is_worker(process: Path, data_root: Path) -> bool:
    with contextlib.suppress(OSError):
        variables = (process / "environ").read_bytes().split(b"\0")
        command = (process / "cmdline").read_bytes().split(b"\0")
        return b"engine.work.worker" in command and f"DATA_ROOT={data_root}".encode() in variables
    return False


@contextmanager
def running(data_root: Path, *options: str, script: Path = APP, **environment: str) -> Iterator[RunningApp]:
    """Run `streamlit run script` until the block ends; workers it started end with it."""
    store_url = {**os.environ, **environment}.get("STORE_URL", "")
    settings = Settings(data_root=data_root, database_url="", store_url=store_url)
    files = cast(LocalStore, open_store(settings))
    log = data_root.parent / "app.log"
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    chosen = {"DATA_ROOT": str(data_root), "DATABASE_URL": "", "FREE_DISK_FLOOR_MB": "0", "WARM_WORKER_S": "0"}
    database = Database(settings.resolved_database_url)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--server.headless", "true", *options],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **chosen, **environment},
            stdout=output,
            stderr=output,
        )
    app = RunningApp(f"http://127.0.0.1:{port}", Installation(settings, database, files), log, server.pid)
    try:
        wait_until_it_answers(port, server, log)
        database.migrate()
        yield app
    finally:
        server.terminate()
        server.wait(timeout=START_S)
        end_workers(data_root)
        database.close()


def wait_until_it_answers(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an app that has been started on `port` serves pages.

    Raises:
        AssertionError: it ended, or does not answer within `START_S`; the error holds its output.
    """
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"The app does not answer: {log.read_text(errors='replace')[-3000:]}")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
