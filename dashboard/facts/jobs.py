"""What a page shows of one job: its state, how far it is, and what may be done with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from db import jobs
from db.jobs import Progress
from db.models import Job, JobStatus
from db.workers import Needs
from engine.core.settings import settings
from engine.work.progress_words import progress_words, seconds_left
from engine.work.registration import why_waiting


@dataclass(frozen=True)
class JobView:
    """One job at one moment. `status` also knows "stopping" and "lost", which the queue itself does not store.

    `final`: it failed for a reason that trying again cannot change. `needs` is what it asks of a machine.
    """

    id: str
    status: str
    progress: Progress
    elapsed_s: float | None
    error: str
    final: bool = False
    needs: Needs = field(default_factory=Needs)

    @property
    def text(self) -> str:
        """What the job is doing, in words; empty until it has reported anything."""
        return progress_words(self.progress)

    @property
    def left_s(self) -> float | None:
        """The seconds still to go at the rate that the worker reports."""
        return seconds_left(self.progress)

    @property
    def at_work(self) -> bool:
        """Whether it waits or runs, so that a page should refresh."""
        return self.status in ("queued", "running", "stopping", "lost")

    @property
    def can_stop(self) -> bool:
        return self.status in ("queued", "running")

    @property
    def can_retry(self) -> bool:
        return self.status in ("failed", "stopped", "lost") and not self.final


def job_view(job: Job | None, now: datetime, lost_after_s: float) -> JobView | None:
    """Return what to show of `job` at the aware moment `now`; None for no job.

    Args:
        lost_after_s: seconds of silence after which a running job is shown as lost.
    """
    if job is None:
        return None
    elapsed_s = ((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else None
    return JobView(
        id=job.id,
        status=_status(job, now, lost_after_s),
        progress=Progress.of(job),
        elapsed_s=elapsed_s,
        error=job.error or "",
        final=job.status == JobStatus.FAILED and bool(job.result.get("final")),
        needs=Needs.of(job),
    )


def _status(job: Job, now: datetime, lost_after_s: float) -> str:
    if jobs.is_lost(job, now, lost_after_s):
        return "lost"
    if job.status == JobStatus.RUNNING and job.stop_requested:
        return "stopping"
    return job.status.value


def waiting_words(session: Session, needs: Needs) -> str:
    """Return what a queued job waits for: a free worker, or a machine that has what it needs."""
    current = settings()
    why = ""
    if needs or not current.max_workers:
        why = why_waiting(session, current, needs)
    return why or "Waiting for a free worker."
