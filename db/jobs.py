"""The queue: every change of a job's state is one guarded UPDATE, so that no two processes claim the same job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.columns import utc_now
from db.models import Dataset, Job, JobKind, JobStatus, LabelSet, Run
from db.session import changed_rows

WORKED_ON: dict[str, type[Run] | type[LabelSet] | type[Dataset]] = {
    "run": Run,
    "label_set": LabelSet,
    "dataset": Dataset,
}
"""What a job's payload may name, the narrowest first."""


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` units, in a phase with a short name; `rate` is units per second or None."""

    done: int = 0
    total: int = 0
    unit: str = "images"
    phase: str = ""
    rate: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job | Row[Any]) -> Progress:
        """Return the progress of a job's row."""
        return cls(**{each.name: getattr(job, f"progress_{each.name}") for each in fields(cls)})


def submit(session: Session, kind: str, payload: dict[str, Any]) -> Job:
    """Add a queued job. Start a worker for it after the transaction has ended."""
    job = Job(kind=kind, payload=payload)
    session.add(job)
    session.flush()
    return job


def find(session: Session, job_id: str | None) -> Job | None:
    return session.get(Job, job_id) if job_id else None


def claim(
    session: Session, worker: str, max_running: int, lost_after_s: float, kinds: Collection[str] | None = None
) -> Job | None:
    """Take the oldest queued job of `kinds` (None is all) for `worker`, or return None if there is none.

    Nothing is claimed while `max_running` live jobs of any kind run.
    """
    now = utc_now()
    if running(session, now, lost_after_s) >= max_running:
        return None
    oldest = select(Job.id).where(*_queued(kinds))
    job_id = session.scalar(oldest.order_by(Job.created_at, Job.id).limit(1))
    if job_id is None:
        return None
    taken = changed_rows(
        session,
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.RUNNING,
            worker=worker,
            attempt=Job.attempt + 1,
            started_at=now,
            finished_at=None,
            heartbeat_at=now,
            error=None,
        )
        .execution_options(synchronize_session=False),
    )
    if taken != 1:
        return None
    return session.get(Job, job_id, populate_existing=True)


def running(session: Session, now: datetime, lost_after_s: float) -> int:
    """Return how many jobs run whose worker is not lost."""
    silent = _silent(now, lost_after_s)
    return session.scalar(select(func.count()).where(Job.status == JobStatus.RUNNING, ~silent)) or 0


def _silent(now: datetime, lost_after_s: float) -> ColumnElement[bool]:
    """The last heartbeat is too old, or too far in the future: it was written before a clock was set back."""
    reach = timedelta(seconds=lost_after_s)
    return (Job.heartbeat_at < now - reach) | (Job.heartbeat_at > now + abs(reach))


def queued(session: Session, kinds: Collection[str] | None = None) -> int:
    """Return how many jobs of `kinds` wait; None is all."""
    return session.scalar(select(func.count()).where(*_queued(kinds))) or 0


def _queued(kinds: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [Job.status == JobStatus.QUEUED, *([] if kinds is None else [Job.kind.in_(kinds)])]


def uses_run(job: Job, run_ids: Collection[str]) -> bool:
    """Whether a job works with one of the runs: trains it, starts from its weights, or predicts with it."""
    payload = job.payload
    return not {payload.get("run"), payload.get("start"), *payload.get("also", [])}.isdisjoint(run_ids)


def _mine(job_id: str, attempt: int) -> Update:
    return update(Job).where(Job.id == job_id, Job.attempt == attempt, Job.status == JobStatus.RUNNING)


def heartbeat(session: Session, job_id: str, attempt: int, progress: Progress | None = None) -> None:
    """Store that the worker is alive, and its progress if it is new. Does nothing to a job that is not its own."""
    values: dict[str, Any] = {"heartbeat_at": utc_now()}
    if progress is not None:
        values |= {f"progress_{each.name}": getattr(progress, each.name) for each in fields(progress)}
    session.execute(_mine(job_id, attempt).values(**values))


class TakenOver(Exception):
    """A job is no longer this worker's: it counted as lost and was requeued, or it ended. Its writes are refused."""


def refuse_if_taken_over(session: Session, job_id: str, attempt: int) -> None:
    """Raise `TakenOver` unless a job runs and this is its attempt. In a transaction that writes, it stays so."""
    mine = select(Job.id).where(Job.id == job_id, Job.attempt == attempt, Job.status == JobStatus.RUNNING)
    if session.scalar(mine) is None:
        raise TakenOver(f"Job {job_id} was given to another worker, or was ended.")


def should_stop(session: Session, job_id: str, attempt: int) -> bool:
    """Whether a stop was requested, or the job is no longer this worker's."""
    mine = (Job.id == job_id, Job.attempt == attempt, Job.status == JobStatus.RUNNING)
    asked = session.scalar(select(Job.stop_requested).where(*mine))
    return asked is None or asked


def finish(
    session: Session,
    job_id: str,
    attempt: int,
    status: JobStatus,
    error: str | None = None,
    result: dict[str, Any] | None = None,
) -> bool:
    """End a running job. Returns False if it was no longer this worker's; then nothing changes."""
    values: dict[str, Any] = {"status": status, "error": error, "finished_at": utc_now()}
    if result is not None:
        values["result"] = result
    return changed_rows(session, _mine(job_id, attempt).values(**values)) == 1


def request_stop(session: Session, job_id: str) -> None:
    """Request a stop. A queued job stops at once; a running one when its worker next checks."""
    this = update(Job).where(Job.id == job_id)
    queued = this.where(Job.status == JobStatus.QUEUED)
    running = this.where(Job.status == JobStatus.RUNNING, Job.stop_requested.is_(False))
    ended = changed_rows(session, queued.values(status=JobStatus.STOPPED, finished_at=utc_now()))
    if ended or changed_rows(session, running.values(stop_requested=True)):
        _record(session, "stopped", job_id)


def requeue(session: Session, job_id: str) -> bool:
    """Put a failed or stopped job back into the queue: resume or retry. Returns False if it was neither."""
    requeued = _requeue(session, Job.id == job_id, Job.status.in_([JobStatus.FAILED, JobStatus.STOPPED])) == 1
    if requeued:
        _record(session, "resumed", job_id)
    return requeued


def requeue_lost(session: Session, now: datetime, lost_after_s: float, job_id: str | None = None) -> int:
    """Requeue running jobs whose worker has been silent too long. Returns how many.

    A lost job whose stop was requested ends as stopped instead.
    """
    lost = [Job.status == JobStatus.RUNNING, _silent(now, lost_after_s)]
    if job_id is not None:
        lost.append(Job.id == job_id)
    session.execute(
        update(Job)
        .where(*lost, Job.stop_requested.is_(True))
        .values(status=JobStatus.STOPPED, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    requeued = _requeue(session, *lost)
    if job_id is not None and requeued:
        _record(session, "resumed", job_id)
    return requeued


def _record(session: Session, action: str, job_id: str) -> None:
    """Add an audit entry: who stopped or resumed a job, and the name of what it works on."""
    job = session.get_one(Job, job_id)
    names = (
        session.scalar(select(table.name).where(table.id == job.payload.get(key))) for key, table in WORKED_ON.items()
    )
    name = next((name for name in names if name is not None), "")
    audit.record(session, action, "job", job_id, name, f"{job.kind} job")


def _requeue(session: Session, *where: ColumnElement[bool]) -> int:
    return changed_rows(
        session,
        update(Job)
        .where(*where)
        .values(status=JobStatus.QUEUED, stop_requested=False, finished_at=None, error=None)
        .execution_options(synchronize_session=False),
    )


def is_lost(job: Job | Row[Any], now: datetime, lost_after_s: float) -> bool:
    """Whether a job counts as running but its worker has fallen silent (see `_silent` for clocks that were set)."""
    if job.status != JobStatus.RUNNING or job.heartbeat_at is None:
        return False
    reach = timedelta(seconds=lost_after_s)
    return now - job.heartbeat_at > reach or job.heartbeat_at - now > abs(reach)


def waiting_without_worker(session: Session, now: datetime, lost_after_s: float, max_running: int) -> bool:
    """Whether queued jobs wait although fewer than `max_running` live ones run: a worker should be started."""
    return queued(session) > 0 and running(session, now, lost_after_s) < max_running


def measurements(session: Session, dataset_id: str, what: str, limit: int = 200) -> list[Job]:
    """Return the measuring jobs on a dataset, newest first: "trial" or "rate_range"."""
    newest = select(Job).where(Job.kind == JobKind.MEASURE).order_by(Job.created_at.desc(), Job.id).limit(limit)
    wanted = (dataset_id, what)
    return [job for job in session.scalars(newest) if (job.payload.get("dataset"), job.payload.get("what")) == wanted]


def active(session: Session) -> list[Job]:
    """Return queued and running jobs, oldest first."""
    return list(
        session.scalars(
            select(Job).where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING])).order_by(Job.created_at, Job.id)
        )
    )
