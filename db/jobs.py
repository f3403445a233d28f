"""The queue: every change of a job's state is one guarded UPDATE, so that no two processes claim the same job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, func, select, true, update
from sqlalchemy.orm import Session

from db import audit, workers
from db.columns import utc_now
from db.models import Dataset, Job, JobKind, JobStatus, LabelSet, Run, Worker, WorkerKind, WorkerState
from db.session import changed_rows

WORKED_ON: dict[str, type[Run] | type[LabelSet] | type[Dataset]] = {
    "run": Run,
    "label_set": LabelSet,
    "dataset": Dataset,
}
"""What a job's payload may name, the narrowest first."""
AUTOMATIC_ATTEMPTS = 3
"""How often a job of a joined worker is begun before a person has to resume it."""


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
    """Add a queued job. Start a worker for it after the transaction has ended.

    One that reads a folder or a zip of this machine is not for workers of others.
    """
    local = (payload.get("source") or {}).get("kind") in ("folder", "zip")
    job = Job(kind=kind, payload=payload, needs_local=local)
    session.add(job)
    session.flush()
    return job


def require(job: Job, needs: workers.Needs) -> None:
    """Let a job that was just submitted wait for a worker that offers what it needs."""
    job.needs_gpu, job.needs_memory_mb, job.needs_tag = needs.gpu, needs.memory_mb, needs.tag
    job.needs_local = job.needs_local or needs.local


def find(session: Session, job_id: str | None) -> Job | None:
    return session.get(Job, job_id) if job_id else None


def claim(
    session: Session,
    worker: str,
    max_running: int,
    lost_after_s: float,
    kinds: Collection[str] | None = None,
    by: Worker | None = None,
) -> Job | None:
    """Take the oldest queued job of `kinds` (None is all) for the process `worker`, or return None if there is none.

    Nothing is claimed while `max_running` live jobs of any kind run on this machine; for a joined worker, while it runs
    as many as it has slots, or once it is to stop or has fallen silent. None takes a job whose needs it does not meet.

    Args:
        by: the registered worker in whose name it is claimed.
    """
    now = utc_now()
    if by is not None and by.kind == WorkerKind.JOINED:
        known = session.get(Worker, by.id)
        if known is None or known.state != WorkerState.ACTIVE or workers.is_silent(known, now, lost_after_s):
            return None
        max_running = known.slots
    if running(session, now, lost_after_s, by) >= max_running:
        return None
    oldest = select(Job.id).where(*_queued(kinds), _fits(session, now, lost_after_s, by))
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
            worker_id=by.id if by is not None else None,
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


def claimable(session: Session, now: datetime, lost_after_s: float, kinds: Collection[str], by: Worker) -> int:
    """Return how many queued jobs of `kinds` a worker could take now, if it has free slots for them."""
    wanted = (*_queued(kinds), _fits(session, now, lost_after_s, by))
    return session.scalar(select(func.count()).where(*wanted)) or 0


def _fits(session: Session, now: datetime, lost_after_s: float, by: Worker | None) -> ColumnElement[bool]:
    """The condition that a worker, None is any, offers what a job needs beside the jobs that run there."""
    if by is None:
        return true()
    return workers.Capacity.of(by).condition(asked_memory_mb(session, now, lost_after_s, by))


def asked_memory_mb(session: Session, now: datetime, lost_after_s: float, by: Worker | None = None) -> int:
    """Return how much memory the jobs asked for that run in the slots of a worker: None is one of this machine."""
    asked = select(func.sum(Job.needs_memory_mb)).where(*_live(now, lost_after_s, by))
    return session.scalar(asked) or 0


def running(session: Session, now: datetime, lost_after_s: float, by: Worker | None = None) -> int:
    """Return how many jobs run, whose worker is not lost, in the slots of a worker: None is one of this machine."""
    return session.scalar(select(func.count()).where(*_live(now, lost_after_s, by))) or 0


def lost(session: Session, now: datetime, lost_after_s: float) -> int:
    """Return how many jobs count as running although their worker is lost, on all machines."""
    return session.scalar(select(func.count()).where(Job.status == JobStatus.RUNNING, _silent(now, lost_after_s))) or 0


def _live(now: datetime, lost_after_s: float, by: Worker | None) -> tuple[ColumnElement[bool], ...]:
    return Job.status == JobStatus.RUNNING, ~_silent(now, lost_after_s), workers.sharing_slots(by)


def _silent(now: datetime, lost_after_s: float) -> ColumnElement[bool]:
    """The last heartbeat is too old, or too far in the future: it was written before a clock was set back."""
    reach = timedelta(seconds=lost_after_s)
    return (Job.heartbeat_at < now - reach) | (Job.heartbeat_at > now + abs(reach))


def queued(
    session: Session,
    kinds: Collection[str] | None = None,
    capacity: workers.Capacity | None = None,
    used_mb: int = 0,
) -> int:
    """Return how many jobs of `kinds` wait that a worker with this capacity, less `used_mb`, can take; None is all."""
    wanted = _queued(kinds)
    if capacity is not None:
        wanted.append(capacity.condition(used_mb))
    return session.scalar(select(func.count()).where(*wanted)) or 0


def _queued(kinds: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [Job.status == JobStatus.QUEUED, *([] if kinds is None else [Job.kind.in_(kinds)])]


def uses_run(job: Job, run_ids: Collection[str]) -> bool:
    """Whether a job works with one of the runs: trains it, starts from its weights, or predicts with it."""
    payload = job.payload
    return not {payload.get("run"), payload.get("start"), *payload.get("also", [])}.isdisjoint(run_ids)


def _own(job_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return Job.id == job_id, Job.attempt == attempt, Job.status == JobStatus.RUNNING


def _mine(job_id: str, attempt: int) -> Update:
    return update(Job).where(*_own(job_id, attempt))


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
    if session.scalar(select(Job.id).where(*_own(job_id, attempt))) is None:
        raise TakenOver(f"Job {job_id} was given to another worker, or was ended.")


def should_stop(session: Session, job_id: str, attempt: int) -> bool:
    """Whether a stop was requested, or the job is no longer this worker's."""
    asked = session.scalar(select(Job.stop_requested).where(*_own(job_id, attempt)))
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


def hand_back(session: Session, job_id: str, attempt: int) -> bool:
    """Requeue a running job, for another worker to resume. False if it is not its own any more, or is to stop."""
    return _requeue(session, *_own(job_id, attempt), Job.stop_requested.is_(False)) == 1


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


def requeue_lost(
    session: Session,
    now: datetime,
    lost_after_s: float,
    job_id: str | None = None,
    only: Collection[ColumnElement[bool]] = (),
) -> int:
    """Requeue running jobs whose worker has been silent too long, those that meet `only`. Returns how many.

    A lost job whose stop was requested ends as stopped instead.
    """
    wanted = [Job.status == JobStatus.RUNNING, _silent(now, lost_after_s), *only]
    if job_id is not None:
        wanted.append(Job.id == job_id)
    session.execute(
        update(Job)
        .where(*wanted, Job.stop_requested.is_(True))
        .values(status=JobStatus.STOPPED, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    requeued = _requeue(session, *wanted)
    if job_id is not None and requeued:
        _record(session, "resumed", job_id)
    return requeued


def requeue_lost_of_joined(session: Session, now: datetime, lost_after_s: float) -> int:
    """Requeue lost jobs of joined workers, as a machine can be gone for good. Returns how many.

    A job that was lost `AUTOMATIC_ATTEMPTS` times may be what brings machines down: it waits for a person.
    """
    return requeue_lost(session, now, lost_after_s, only=(workers.of_joined(), Job.attempt < AUTOMATIC_ATTEMPTS))


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


def waiting_without_worker(
    session: Session,
    now: datetime,
    lost_after_s: float,
    max_running: int,
    capacity: workers.Capacity | None = None,
) -> bool:
    """Whether jobs that this machine can take now wait although fewer than `max_running` live ones run on it."""
    used_mb = asked_memory_mb(session, now, lost_after_s, None)
    return queued(session, None, capacity, used_mb) > 0 and running(session, now, lost_after_s) < max_running


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
