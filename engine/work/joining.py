"""A worker that joined from any machine with the database and the files: `python -m engine worker --join`.

This process watches the queue, is registered with a heartbeat, and starts a process for each job that its machine can
take, up to its slots (`engine.work.worker`). The database is the only channel: those processes read there that the
worker is to stop, and hand their jobs back.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Collection
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db import jobs, sweeps, workers
from db.columns import utc_now
from db.inventory import Inventory
from db.models import JobStatus, Worker
from db.session import Database, newer
from engine import VERSION
from engine.care.belonging import fault, start_of
from engine.core.settings import Settings
from engine.store.base import Store
from engine.sweeps.study import is_installed as optuna_is_installed
from engine.work.launchers.local import start_worker

POLL_S = 1.0
AFTER_FAILURE_S = 5.0
"""Until another process is started after one that could not begin to work."""

log = logging.getLogger("maskloom.worker")


class CannotJoin(Exception):
    """This machine cannot work for the database. The message is a sentence."""


def refuse_strangers(database: Database, files: Store) -> None:
    """
    Raises:
        CannotJoin: the versions differ, the files are not those of the database, or SQLite is on another machine.
    """
    inventory = Inventory(database)
    if not inventory.has_tables():
        raise CannotJoin("The database has no tables yet. Start the app once, then join.")
    theirs, ours = inventory.schema()
    if not inventory.knows_schema(str(theirs)):
        raise CannotJoin(newer(str(theirs)))
    if theirs != ours:
        raise CannotJoin(
            f"The database was made by an older Maskloom (tables {theirs}, this one needs {ours}). Update the app and "
            "start it once, or join with its version."
        )
    with database.reading() as session:
        refuse_other_version(session)
        app = workers.app_of(session)
    assert app is not None
    if start_of(files) != app.id or fault(inventory, files):
        raise CannotJoin(f"{files.place} is not that of this database. Set it to what the app uses.")
    if database.is_sqlite and app.host != socket.gethostname():
        raise CannotJoin(
            f"The database is SQLite, which serves one machine ({app.host!r}). Before others join, move it to "
            "PostgreSQL: python -m engine migrate."
        )


def refuse_other_version(session: Session) -> None:
    """
    Raises:
        CannotJoin: the app is of another version, or none ever opened the database.
    """
    app = workers.app_of(session)
    if app is None:
        raise CannotJoin("No app has opened the database yet in this version. Start the app once, then join.")
    if app.version != VERSION:
        raise CannotJoin(f"The app is Maskloom {app.version}, this is {VERSION}. Install the same version on both.")


class JoinedWorker:
    """Runs until SIGTERM or SIGINT; then its jobs are handed back at the next moment at which nothing is lost.

    With `idle_s`, it ends after so many seconds without a job as well.
    """

    def __init__(
        self,
        database: Database,
        current: Settings,
        worker: Worker,
        kinds: Collection[str],
        idle_s: float | None = None,
    ) -> None:
        self._database, self._current, self._worker, self._kinds = database, current, worker, kinds
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stop = threading.Event()
        self._beat_at = self._start_at = 0.0
        self._idle_s, self._busy_at = idle_s, time.monotonic()
        self._responds = True

    def run(self) -> None:
        """
        Raises:
            CannotJoin: the app was updated meanwhile; the jobs were handed back.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        reason: CannotJoin | None = None
        while not self._stop.is_set() or self._processes:
            self._collect()
            try:
                self._turn()
                self._says_responding(True)
            except CannotJoin as refusal:
                reason = refusal
                self._stop.set()
            except DBAPIError:
                self._says_responding(False)
            except OSError as error:
                log.warning("No process could be started: %s.", error)
                self._start_at = time.monotonic() + AFTER_FAILURE_S
            time.sleep(POLL_S)
        with contextlib.suppress(DBAPIError), self._database.writing() as session:
            for job in workers.held(session, self._worker.id):  # of processes that were killed
                if not jobs.hand_back(session, job.id, job.attempt):
                    jobs.finish(session, job.id, job.attempt, JobStatus.STOPPED)
            workers.leave(session, self._worker.id)
        if reason is not None:
            raise reason

    def _asked_to_stop(self, *_: Any) -> None:
        if self._stop.is_set():  # asked twice: at once
            for process in self._processes:
                process.kill()
        self._stop.set()

    def _turn(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= self._current.heartbeat_s or (self._stop.is_set() and self._processes):
            self._beat()
            self._beat_at = now
        if self._stop.is_set() or now < self._start_at:
            return
        with self._database.reading() as session:
            moment, lost_after_s = utc_now(), self._current.lost_after_s
            waiting = jobs.claimable(session, moment, lost_after_s, self._kinds, self._worker)
            if not waiting and not self._processes and optuna_is_installed() and sweeps.waiting(session):
                waiting = 1  # the process that it starts begins the next trial
            held = jobs.running(session, moment, lost_after_s, self._worker)
        if waiting or held or self._processes:
            self._busy_at = now
        elif self._idle_s is not None and now - self._busy_at >= self._idle_s:
            self._stop.set()
            return
        # The job of a process that was killed takes a slot until it is lost.
        beginning = max(len(self._processes) - held, 0)
        free = self._worker.slots - max(len(self._processes), held)
        for _ in range(min(free, waiting - beginning)):
            self._processes.append(start_worker(self._current, self._worker.id))

    def _beat(self) -> None:
        if not self._stop.is_set():
            with self._database.reading() as session:
                refuse_other_version(session)
        with self._database.writing() as session:
            workers.beat(session, self._worker)
            if self._stop.is_set():
                workers.stop(session, self._worker.id)
            jobs.requeue_lost_of_joined(session, utc_now(), self._current.lost_after_s)

    def _collect(self) -> None:
        ended = [process for process in self._processes if process.poll() is not None]
        self._processes = [process for process in self._processes if process not in ended]
        if any(process.returncode for process in ended):
            self._start_at = time.monotonic() + AFTER_FAILURE_S

    def _says_responding(self, responds: bool) -> None:
        if responds != self._responds:
            log.warning("The database responds again." if responds else "The database does not respond; trying again.")
        self._responds = responds
