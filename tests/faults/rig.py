"""The rig: one installation on a disk of its own, the real app, real workers, and what can be done to them.

    with Rig(folder) as rig:
        rig.start_app()
        job_id = rig.submit(lambda session: submissions.submit_import(...)[1])
        os.kill(rig.worker_of(job_id), signal.SIGKILL)

`folder` then holds data/ (DATA_ROOT), home/ and tmp/ (HOME and TMPDIR of all its processes, so that what they write
elsewhere is seen), clock/ and the app's output. Settings are real ones, only shorter: a worker is lost after seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view
from db import jobs
from db.columns import utc_now
from db.models import Job
from db.session import Database
from engine.core import settings as settings_module
from engine.core.settings import Settings
from engine.store.objects import ObjectStore
from engine.store.opening import open_store
from engine.work.launchers.local import LocalLauncher
from tests.faults.disk import Disk
from tests.support.installation import REPOSITORY, Installation
from tests.support.postgresql import Server
from tests.support.s3_server import S3Server

CHILD = Path(__file__).parent / "child"
HEARTBEAT_S = 0.5
PATIENCE_S = 480.0
START_S = 240.0


class Stuck(AssertionError):
    """Something that should have happened did not within the rig's patience."""


class Rig:
    """One installation under test. `installation` accesses its rows and files from outside, with a correct clock.

    Its database is a SQLite file, or one on a PostgreSQL `server`, whose address is `url` then. With an `s3` server,
    which needs the other, its files are in a bucket, and the disk holds what is cached and being written.
    """

    def __init__(
        self,
        folder: Path,
        max_workers: int = 2,
        lost_after_s: float = 6.0,
        server: Server | None = None,
        s3: S3Server | None = None,
    ) -> None:
        self.folder, self.server, self.s3 = folder, server, s3
        self.url = server.create() if server else ""
        self.store_url = s3.bucket() if s3 else ""
        self.disk = Disk(folder / "data")
        for name in ("home", "tmp", "clock"):
            (folder / name).mkdir(exist_ok=True)
        self.log = folder / "app.log"
        self.max_workers, self.lost_after_s = max_workers, lost_after_s
        self.port = free_port()
        self.app: subprocess.Popen[bytes] | None = None
        self._copied: dict[str, str] = {}
        with self.environment():
            settings = Settings()
        database = Database(settings.resolved_database_url)
        database.migrate()
        os.environ.update(s3.environment if s3 else {})  # this process looks into the bucket, too
        self.installation = Installation(settings, database, open_store(settings, trusts_cache=False))

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> Path:
        return self.folder / "data"

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Give this process the environment that the installation's own processes have."""
        values = {
            "DATA_ROOT": str(self.folder / "data"),
            "DATABASE_URL": self.url,
            "STORE_URL": self.store_url,
            **(self.s3.environment if self.s3 else {}),
            "FREE_DISK_FLOOR_MB": "0",
            "WARM_WORKER_S": "0",
            "MAX_WORKERS": str(self.max_workers),
            "HEARTBEAT_S": str(HEARTBEAT_S),
            "LOST_AFTER_S": str(self.lost_after_s),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": os.pathsep.join([str(CHILD), str(REPOSITORY)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FAULTS_CLOCK": str(self.folder / "clock"),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        before = dict(os.environ)
        os.environ.update(values)
        settings_module.settings.cache_clear()
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            settings_module.settings.cache_clear()

    # Files

    def stored(self) -> Path:
        """Return a folder with every stored file as it is now."""
        files = self.installation.files
        if not isinstance(files, ObjectStore):
            return self.root
        copy, known = self.folder / "copy", self._copied
        there = files.objects("")
        for path in known.keys() - there.keys():
            (copy / path).unlink()
        for path in (path for path, tag in there.items() if known.get(path) != tag):
            files.download(path, copy / path)
        self._copied = there
        return copy

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, those that are being written included where they are seen."""
        if self.s3:
            return [key.rpartition("/")[2] for key in self.installation.files.keys(folder)]
        return [name for _, _, files in os.walk(self.root / folder) for name in files]

    # The app

    def start_app(self) -> None:
        """Start `streamlit run dashboard/app.py` in a process group of its own, on the rig's port, and wait for it."""
        self.app = self.start_another(self.port)

    def start_another(self, port: int) -> subprocess.Popen[bytes]:
        """Start an app of this installation on a port and return it once it answers."""
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
        with self.environment(), self.log.open("ab") as output:
            app = subprocess.Popen(
                [*command, "--server.headless", "true"],
                cwd=REPOSITORY,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.until(lambda: self._answers(app, port), "the app answers", START_S)
        return app

    def _answers(self, app: subprocess.Popen[bytes], port: int) -> bool:
        if app.poll() is not None:
            raise Stuck(f"The app ended by itself:\n{self.log.read_text(errors='replace')[-2000:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
        except OSError:
            return False
        return True

    def kill_app(self) -> None:
        """End the web process as a power cut would; what it had started is not asked."""
        self.app.send_signal(signal.SIGKILL)
        self.app.wait()

    # Jobs

    def submit(self, add: Callable[[Session], Job], launch: bool = True) -> str:
        """Add a job as a page does and start a worker for it; `launch` False leaves that to the app."""
        with self.installation.database.writing() as session:
            job_id = add(session).id
        if launch:
            with self.environment():
                LocalLauncher(self.installation.settings).submit(job_id)
        return job_id

    def job(self, job_id: str) -> Job:
        return self.installation.job(job_id)

    def view(self, job_id: str) -> JobView:
        """Return a job as pages see it, with a right clock."""
        return job_view(self.job(job_id), utc_now(), self.lost_after_s)

    def press(self, job_id: str) -> None:
        """Do what the page's button does that goes on with a job: call the same function."""
        from dashboard.ui.job_panel import retry_job

        with self.environment():
            retry_job(job_id)

    def stop(self, job_id: str) -> None:
        """Ask a job to stop, as the page's button does."""
        with self.installation.database.writing() as session:
            jobs.request_stop(session, job_id)

    def worker_of(self, job_id: str) -> int | None:
        """Return the process that works on a job, or None if it is not there (any more)."""
        worker = self.job(job_id).worker or ":0"
        process = int(worker.rpartition(":")[2])
        return process if process in self.workers() else None

    # Processes

    def processes(self) -> dict[int, list[str]]:
        """Return {process: command line} of everything that runs for this installation, but for this process."""
        mark = f"DATA_ROOT={self.folder / 'data'}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                    if command:  # a zombie has none
                        found[int(entry.name)] = command
        return found

    def workers(self) -> list[int]:
        return [process for process, command in self.processes().items() if "engine.work.worker" in command]

    def orphans(self) -> list[int]:
        """Return processes that were started by one that is gone: nobody will ever end them."""
        running = self.processes()
        started = [process for process, command in running.items() if "multiprocessing" in " ".join(command)]
        return [process for process in started if _parent(process) not in running]

    def move_clock(self, whose: str, seconds: float) -> None:
        """Set the clock of the "app" or of every "worker" wrong by some seconds."""
        (self.folder / "clock" / whose).write_text(str(seconds))

    # Waiting

    def until(self, true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, every_s: float = 0.05) -> Any:
        """Wait until a function returns something true, and return that.

        Raises:
            Stuck: it did not within `patience_s`.
        """
        give_up = time.monotonic() + patience_s
        while not (found := true()):
            if time.monotonic() > give_up:
                raise Stuck(f"Waited {patience_s:.0f} s for this in vain: {what}.")
            time.sleep(every_s)
        return found

    def end(self) -> None:
        """End everything that runs for this installation, and give its disk back."""
        self.installation.database.close()
        with self.environment():
            from dashboard.server import resources

            resources.database().close()
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.app is not None:
            self.app.wait()
        self.disk.close()


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return os.getpid()  # it has just ended
