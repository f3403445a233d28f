"""The worker that keeps networks in memory, so that a few images need not wait until one is loaded.

While it waits for work, such a worker has a *sign* among the jobs: a row of kind warm that has ended, with a heartbeat
and the runs whose networks it holds. There is one at most; whoever deletes it tells the worker to end. What asks for a
network to be loaded is a job of the same kind, queued like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db import jobs
from db.models import Job, JobKind, JobStatus, utc_now

SILENT_S = 8.0
"""Seconds after which a sign without a heartbeat belongs to a worker that was killed."""

_AT_WORK = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Readiness:
    """Who is ready to predict: `run_ids` are the runs whose networks `worker` holds; None and empty if there is none.

    `busy` says that this worker is at a job, `requested` that a network is being loaded or is about to be.
    """

    worker: str | None
    run_ids: tuple[str, ...]
    busy: bool
    requested: bool

    @property
    def takes_predictions(self) -> bool:
        """Whether a prediction that is queued now is taken soon without another worker."""
        return self.requested or (self.worker is not None and not self.busy)


def hold(session: Session, worker: str, run_ids: list[str]) -> str | None:
    """Put up the sign of `worker` and return its id, or None if another worker has one."""
    now = utc_now()
    if _sign(session, now) is not None:
        return None
    session.execute(delete(Job).where(Job.kind == JobKind.WARM, Job.status.not_in(_AT_WORK)))  # what is over by now
    sign = Job(
        kind=JobKind.WARM,
        status=JobStatus.FINISHED,
        payload={"sign": True},
        result={"run_ids": run_ids},
        worker=worker,
        heartbeat_at=now,
    )
    session.add(sign)
    session.flush()
    return sign.id


def beat(session: Session, sign_id: str, run_ids: list[str]) -> bool:
    """Renew a sign and say which networks are held now. Returns False if it was taken down."""
    sign = session.get(Job, sign_id)
    if sign is None:
        return False
    sign.heartbeat_at, sign.result = utc_now(), {"run_ids": run_ids}
    return True


def take_down(session: Session, sign_id: str) -> None:
    session.execute(delete(Job).where(Job.id == sign_id))


def dismiss(session: Session) -> None:
    """Take down every sign, so that the worker behind it ends when it is idle, and withdraw what waits to be loaded."""
    session.execute(delete(Job).where(Job.kind == JobKind.WARM, Job.status != JobStatus.RUNNING))


def readiness(session: Session, now: datetime, lost_after_s: float) -> Readiness:
    """Return who is ready to predict at the aware moment `now`."""
    requests = session.scalars(select(Job).where(Job.kind == JobKind.WARM, Job.status.in_(_AT_WORK)))
    requested = any(not jobs.is_lost(job, now, lost_after_s) for job in requests)
    sign = _sign(session, now)
    if sign is None:
        return Readiness(None, (), False, requested)
    busy = select(func.count()).where(Job.status == JobStatus.RUNNING, Job.worker == sign.worker)
    return Readiness(sign.worker, tuple(sign.result["run_ids"]), bool(session.scalar(busy)), requested)


def _sign(session: Session, now: datetime) -> Job | None:
    reach = timedelta(seconds=SILENT_S)  # on both sides: a sign of the future was put up before a clock was set back
    fresh = Job.heartbeat_at.between(now - reach, now + reach)
    ended = select(Job).where(Job.kind == JobKind.WARM, Job.status == JobStatus.FINISHED, fresh)
    return next((job for job in session.scalars(ended) if job.payload.get("sign")), None)


def submit(session: Session, run_id: str, now: datetime, max_running: int, lost_after_s: float) -> Job | None:
    """Ask for a run's network to be loaded; return the job, or None where it is not needed or there is no room.

    Nothing is asked while the network is held, while the worker that could load it is busy, while another request is
    at work, or while other jobs wait or fill all `max_running` places: getting ready must not hold up what a person
    started. The payload names the run "network", for a request keeps nobody from deleting the run.
    """
    found = readiness(session, now, lost_after_s)
    if run_id in found.run_ids or found.busy or found.requested:
        return None
    if jobs.queued(session) or jobs.running(session, now, lost_after_s) >= max_running:
        return None
    return jobs.submit(session, JobKind.WARM, {"network": run_id})
