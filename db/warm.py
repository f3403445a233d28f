"""The worker that keeps networks in memory, so that a few images need not wait until one is loaded.

While it waits for work, such a worker has a *registration row* among the jobs: a row of kind warm that has ended, with
a heartbeat and the runs whose networks it holds. There is at most one; deleting it makes the worker end. A request to
load a network is a job of the same kind, queued like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db import jobs
from db.columns import utc_now
from db.models import Job, JobKind, JobStatus
from db.workers import Capacity

SILENT_S = 8.0
"""Seconds without a heartbeat after which the registered worker counts as killed."""

_AT_WORK = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Readiness:
    """Which worker is ready to predict: `run_ids` are the runs whose networks `worker` holds; None and () without one.

    `busy`: this worker runs a job. `requested`: a network is being loaded or is about to be.
    """

    worker: str | None
    run_ids: tuple[str, ...]
    busy: bool
    requested: bool

    @property
    def takes_predictions(self) -> bool:
        """Whether a prediction that is queued now is taken soon without another worker."""
        return self.requested or (self.worker is not None and not self.busy)


def register(session: Session, worker: str, run_ids: list[str]) -> str | None:
    """Add the registration row of `worker` and return its id, or None if another worker is registered."""
    now = utc_now()
    if _registration(session, now) is not None:
        return None
    session.execute(delete(Job).where(Job.kind == JobKind.WARM, Job.status.not_in(_AT_WORK)))  # ended or silent
    row = Job(
        kind=JobKind.WARM,
        status=JobStatus.FINISHED,
        payload={"sign": True},
        result={"run_ids": run_ids},
        worker=worker,
        heartbeat_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def renew(session: Session, registration_id: str, run_ids: list[str]) -> bool:
    """Store a heartbeat and the runs whose networks are held now. Returns False if the registration was deleted."""
    row = session.get(Job, registration_id)
    if row is None:
        return False
    row.heartbeat_at, row.result = utc_now(), {"run_ids": run_ids}
    return True


def unregister(session: Session, registration_id: str) -> None:
    session.execute(delete(Job).where(Job.id == registration_id))


def dismiss(session: Session) -> None:
    """Delete registrations, so that an idle registered worker ends, and requests that wait for a worker."""
    session.execute(delete(Job).where(Job.kind == JobKind.WARM, Job.status != JobStatus.RUNNING))


def readiness(session: Session, now: datetime, lost_after_s: float) -> Readiness:
    """Return which worker is ready to predict at `now`, an aware datetime."""
    requests = session.scalars(select(Job).where(Job.kind == JobKind.WARM, Job.status.in_(_AT_WORK)))
    requested = any(not jobs.is_lost(job, now, lost_after_s) for job in requests)
    row = _registration(session, now)
    if row is None:
        return Readiness(None, (), False, requested)
    busy = select(func.count()).where(Job.status == JobStatus.RUNNING, Job.worker == row.worker)
    return Readiness(row.worker, tuple(row.result["run_ids"]), bool(session.scalar(busy)), requested)


def _registration(session: Session, now: datetime) -> Job | None:
    reach = timedelta(seconds=SILENT_S)  # on both sides: a heartbeat in the future is from before a clock was set back
    fresh = Job.heartbeat_at.between(now - reach, now + reach)
    ended = select(Job).where(Job.kind == JobKind.WARM, Job.status == JobStatus.FINISHED, fresh)
    return next((job for job in session.scalars(ended) if job.payload.get("sign")), None)


def submit(
    session: Session,
    run_id: str,
    now: datetime,
    max_running: int,
    lost_after_s: float,
    here: Capacity | None = None,
) -> Job | None:
    """Ask for a run's network to be loaded; return the job, or None where it is not needed or there is no room.

    Nothing is requested while the network is held, while the worker that could load it is busy, while another request
    is active, or while other jobs wait or fill all `max_running` slots: loading a network must not delay what a person
    started. Only jobs that workers with the capacity `here` can take count as waiting; None is all. The payload key is
    "network" and not "run", because a request does not keep the run from being deleted.
    """
    found = readiness(session, now, lost_after_s)
    if run_id in found.run_ids or found.busy or found.requested:
        return None
    if jobs.queued(session, None, here) or jobs.running(session, now, lost_after_s) >= max_running:
        return None
    return jobs.submit(session, JobKind.WARM, {"network": run_id})
