"""The process that claims jobs from the database and runs them: `python -m engine.work.worker`.

It claims jobs until the queue is empty (or MAX_WORKERS jobs run elsewhere), then exits. If it loaded a network for a
warm job, it keeps that for WARM_WORKER_S seconds more, for predictions only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import psutil
from sqlalchemy.orm import Session

from db import jobs, warm, workers
from db.columns import utc_now
from db.inventory import Inventory
from db.models import Job, JobKind, JobStatus, Run, Worker, WorkerKind
from db.session import Database
from engine.care.belonging import open_together
from engine.core import fan_out, logs
from engine.core.settings import Settings, settings
from engine.network import loaded as kept_networks
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.opening import open_store
from engine.sweeps.study import is_installed as optuna_is_installed
from engine.training.memory_advice import memory_advice
from engine.work import ray_cluster
from engine.work.context import CannotSucceed, JobFailed, JobStopped
from engine.work.failures import explain, lost_database
from engine.work.joining import refuse_strangers
from engine.work.memory_watch import MemoryWatch, child_processes
from engine.work.priority import give_way
from engine.work.registration import new_worker
from engine.work.registry import job_types
from engine.work.sweeps import advance

POLL_S = 0.5
WARM_POLL_S = 0.15
WARM_BEAT_S = 2.0
END_PATIENCE_S, END_RETRY_S = 600.0, 1.0

log = logging.getLogger("maskloom.worker")


class WorkerContext:
    """The context of a running job (the contract is `engine.work.context.JobContext`)."""

    def __init__(self, database: Database, job: Job, current: Settings, by: Worker | None = None) -> None:
        self.artifacts = open_store(current)
        self._by, self.handing_back = by, False
        self._database = database
        self._job_id, self._attempt = job.id, job.attempt
        self._heartbeat_s = current.heartbeat_s
        self.memory = MemoryWatch(current.memory_per_job_mb)
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._latest: jobs.Progress | None = None
        self._thread = threading.Thread(target=self._live, name="heartbeat", daemon=True)

    def reading(self) -> Session:
        return self._database.reading()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        with self._database.writing() as session:
            jobs.refuse_if_taken_over(session, self._job_id, self._attempt)
            yield session

    def progress(
        self, done: int, total: int, *, unit: str = "images", phase: str = "", rate: float | None = None, **details: Any
    ) -> None:
        """Remember how far the job is; the heartbeat thread stores it, so the work never waits for the database."""
        self._latest = jobs.Progress(int(done), int(total), unit, phase, rate, details)

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def _live(self) -> None:
        beat_at = 0.0
        while not self._ended.wait(POLL_S):
            latest, self._latest = self._latest, None
            try:
                self._watch_memory()
                if latest is not None or time.monotonic() - beat_at >= self._heartbeat_s:
                    self._write(latest)
                    beat_at = time.monotonic()
                with self._database.reading() as session:
                    self.handing_back = self._is_to_hand_back(session)
                    if self.handing_back or jobs.should_stop(session, self._job_id, self._attempt):
                        self._stop.set()
            except Exception:
                # A database that is busy or gone for a moment is no reason to end hours of work; the next beat tries.
                log.exception("Could not reach the database.")

    def _is_to_hand_back(self, session: Session) -> bool:
        if self._by is None or self._by.kind != WorkerKind.JOINED:
            return False
        return workers.is_stopping(session, self._by.id)

    def _watch_memory(self) -> None:
        verdict = self.memory.check(time.monotonic())
        if verdict == "stop" and not self._stop.is_set():
            log.warning("%s It is asked to stop.", self.memory.sentence, extra={"event": "memory_limit"})
            self._stop.set()
        elif verdict == "end":
            log.error("%s It is ended at once.", self.memory.sentence, extra={"event": "memory_limit"})
            self._end_at_once()

    def _end_at_once(self) -> None:
        """Fail the job and end this process and those below it, as a kill would: what is stored is consistent."""
        try:
            with self._database.writing() as session:
                jobs.finish(session, self._job_id, self._attempt, JobStatus.FAILED, self.memory.sentence)
        finally:
            for process in child_processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            os._exit(1)

    def _write(self, latest: jobs.Progress | None) -> None:
        with self._database.writing() as session:
            jobs.heartbeat(session, self._job_id, self._attempt, latest)
            if self._by is not None and self._by.kind == WorkerKind.LOCAL:
                workers.beat(session, self._by)

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Keep the heartbeat going during the block, and write the last progress at its end."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()
            with contextlib.suppress(Exception):  # a missing last progress is no reason to fail a finished job
                self._write(self._latest)


@contextlib.contextmanager
def _output_to(path: Any) -> Iterator[None]:
    """Redirect everything that this process prints, native libraries included, to a job's log file.

    A log that cannot be written, on a full disk, does not end the job: the job itself reports then that it is full.
    """
    _flush()
    saved = os.dup(1), os.dup(2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        _flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (file, *saved):
            os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()


def run_job(database: Database, job: Job, current: Settings, by: Worker | None = None) -> JobStatus:
    """Run one claimed job to its end and store how it ended. Does not raise when the job fails.

    A joined worker that is to stop hands the job back, and so does any whose connection to the database was lost.
    """
    context = WorkerContext(database, job, current, by)
    status, error, result, hand_back = JobStatus.FINISHED, None, None, False
    log_key = stored.job_log_key(job.id)
    with logs.about(job.id), context.artifacts.growing(log_key) as path, _output_to(path):
        log.info("Attempt %d of %s job %s.", job.attempt, job.kind, job.id, extra={"event": "job_started"})
        try:
            with context.alive():
                _refuse_full_disk(context.artifacts, current)
                result = job_types()[job.kind].run(job, context)
        except JobStopped as stopped:
            status, result, hand_back = JobStatus.STOPPED, stopped.result, context.handing_back
            if context.memory.sentence:
                status, error = JobStatus.FAILED, f"{context.memory.sentence} {_lower(job, context)}".strip()
                hand_back = False
        except jobs.TakenOver as taken:
            log.warning("%s", taken)
            status = JobStatus.STOPPED
        except Exception as failure:
            log.exception("The job failed.", extra={"event": "job_failed"})
            status, error = JobStatus.FAILED, explain(failure, _trained_config(job, context))
            result = {"final": True} if isinstance(failure, CannotSucceed) else None
            hand_back = lost_database(failure) and job.attempt < jobs.AUTOMATIC_ATTEMPTS
        log.info("Ended: %s. %s", status.value, error or "", extra={"event": "job_ended"})
    if not _store_end(database, job, status, error, result, hand_back):
        log.warning("Job %s was given to another worker.", job.id)
    if job.kind == JobKind.WARM and status == JobStatus.FINISHED:
        context.artifacts.delete(log_key)  # its row is deleted soon, and no person started it
    return status


def _store_end(
    database: Database,
    job: Job,
    status: JobStatus,
    error: str | None,
    result: dict[str, Any] | None,
    hand_back: bool,
) -> bool:
    """Store how a job ended, or requeue it to hand it back; retry while the disk is full or the database busy.

    Returns False if another worker has it.

    Without this, a job that has finished or failed would be shown as lost.
    """
    give_up = time.monotonic() + END_PATIENCE_S
    while True:
        try:
            with database.writing() as session:
                if hand_back and jobs.hand_back(session, job.id, job.attempt):
                    return True
                return jobs.finish(session, job.id, job.attempt, status, error, result)
        except Exception:
            if time.monotonic() > give_up:
                raise
            log.exception("The end of job %s could not be stored; the next try is in %.0f s.", job.id, END_RETRY_S)
            time.sleep(END_RETRY_S)


def _trained_config(job: Job, context: WorkerContext) -> dict[str, Any] | None:
    if job.kind != JobKind.TRAIN:
        return None
    try:
        with context.reading() as session:
            return session.get_one(Run, job.payload["run"]).config
    except Exception:  # a failing disk or database may be the error being explained
        return None


def _lower(job: Job, context: WorkerContext) -> str:
    config = _trained_config(job, context)
    return f"Raise the limit, or duplicate the run with {memory_advice(config)}." if config else ""


def _refuse_full_disk(files: Store, current: Settings) -> None:
    free_mb = files.free_bytes() // 1_000_000
    if free_mb < current.free_disk_floor_mb:
        raise JobFailed(
            f"Only {free_mb} MB of disk are free, and jobs start with {current.free_disk_floor_mb} MB or more "
            "(FREE_DISK_FLOOR_MB). Free some space, then retry."
        )


def _quick_kinds() -> set[str]:
    """The jobs for a worker with networks in memory: a training would start beside memory that is never released."""
    return {kind for kind, job in job_types().items() if job.quick}


def work(database: Database, current: Settings, by: Worker | None = None) -> list[str]:
    """Claim and run jobs until there is none to claim. Returns the kinds of those that were run.

    Args:
        by: the worker in whose name; None is one of this process, registered for as long as this takes.
    """
    worker = by or new_worker(WorkerKind.LOCAL)
    done: list[str] = []
    try:
        while (job := _next_job(database, current, worker)) is not None:
            if not job_types()[job.kind].quick:
                kept_networks.forget()
            run_job(database, job, current, worker)
            done.append(job.kind)
    finally:
        if by is None:
            _leave(database, worker)
    return done


def _next_job(database: Database, current: Settings, worker: Worker) -> Job | None:
    if worker.kind == WorkerKind.LOCAL or optuna_is_installed():  # what one machine lacks is no reason to stop
        advance(database, open_store(current))
    return _claim(database, current, kinds_of(worker), worker)


def kinds_of(worker: Worker) -> set[str]:
    """Return the kinds of job that a worker runs: networks are kept in memory beside the app alone."""
    return set(job_types()) - ({JobKind.WARM} if worker.kind == WorkerKind.JOINED else set())


def _claim(database: Database, current: Settings, kinds: Collection[str], worker: Worker) -> Job | None:
    with database.writing() as session:
        if worker.kind == WorkerKind.LOCAL:  # a joined one has a process that does nothing else
            workers.beat(session, worker)
        return jobs.claim(session, _name(), current.max_workers, current.lost_after_s, kinds, worker)


def _leave(database: Database, worker: Worker) -> None:
    with contextlib.suppress(Exception), database.writing() as session:  # the row would be deleted later
        workers.leave(session, worker.id)


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:120]


def linger(database: Database, current: Settings) -> int:
    """Keep the networks in memory and predict with them until no job came for WARM_WORKER_S seconds.

    Returns how many jobs were run. Ends at once if another worker is registered, or if its own registration is deleted
    (see `db.warm`): the app deletes it when it starts and when it ends.
    """
    with database.writing() as session:
        registration_id = warm.register(session, _name(), kept_networks.run_ids())
    if registration_id is None:
        return 0
    worker = new_worker(WorkerKind.LOCAL)
    ended = threading.Event()
    renewing = (database, registration_id, worker, ended)
    threading.Thread(target=_renew_registration, args=renewing, name="registration", daemon=True).start()
    quick = _quick_kinds()
    count, until = 0, time.monotonic() + current.warm_worker_s
    try:
        while time.monotonic() < until and not ended.wait(WARM_POLL_S):
            with database.reading() as session:  # reading takes no lock, claiming does
                waiting = jobs.queued(session, quick)
            if waiting and (job := _claim(database, current, quick, worker)) is not None:
                run_job(database, job, current, worker)
                count, until = count + 1, time.monotonic() + current.warm_worker_s
    finally:
        ended.set()
        with database.writing() as session:
            warm.unregister(session, registration_id)
            workers.leave(session, worker.id)
    return count


def _renew_registration(database: Database, registration_id: str, worker: Worker, ended: threading.Event) -> None:
    """Renew the registration until the worker has ended; end the worker if its registration was deleted."""
    while not ended.wait(WARM_BEAT_S):
        try:
            with database.writing() as session:
                workers.beat(session, worker)
                if not warm.renew(session, registration_id, kept_networks.run_ids()):
                    ended.set()
        except Exception:
            log.exception("Could not reach the database.")


def _end(*_: Any) -> None:
    raise SystemExit(0)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # TensorFlow otherwise takes all of a GPU's memory at its first use, and the worker beside this one finds none
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    current = settings()
    logs.configure("worker", current)
    database = Database(current.resolved_database_url)
    if len(sys.argv) > 1:
        _work_for(database, current, sys.argv[1])
    else:
        give_way()
        open_together(Inventory(database), open_store(current), database.migrate, utc_now())
        done = work(database, current)
        if current.warm_worker_s and JobKind.WARM in done and set(done) <= _quick_kinds():
            signal.signal(signal.SIGTERM, _end)  # so that it deletes its registration
            linger(database, current)
    database.close()


def _work_for(database: Database, current: Settings, worker_id: str) -> None:
    """Work in the name of a joined worker (`engine.work.joining`), which watches the queue and starts this process."""
    refuse_strangers(database, open_store(current))
    with database.reading() as session:
        worker = session.get(Worker, worker_id)
    if worker is not None:
        if os.environ.get(ray_cluster.IN_RAY):
            fan_out.use(ray_cluster.opening(current))
        work(database, current, worker)


if __name__ == "__main__":
    main()
