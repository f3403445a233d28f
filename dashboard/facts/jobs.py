"""What a page shows of one job: its state, how far it is, and what may be done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from db import jobs
from db.models import Job, JobStatus


@dataclass(frozen=True)
class JobView:
    """One job at one moment. `status` also knows "stopping" and "lost", which the queue itself does not store."""

    id: str
    status: str
    done: int
    total: int
    text: str
    elapsed_s: float | None
    error: str

    @property
    def at_work(self) -> bool:
        """Whether it waits or runs, so that a page should look again."""
        return self.status in ("queued", "running", "stopping", "lost")

    @property
    def can_stop(self) -> bool:
        return self.status in ("queued", "running")

    @property
    def can_retry(self) -> bool:
        return self.status in ("failed", "stopped", "lost")


def left_at_pace(done: int, total: int, text: str) -> float | None:
    """Return the seconds still to go at the pace that a worker's progress text tells ("45.3 images/s"), or None.

    The time since the start would mislead: a resumed job starts in the middle, and starting up takes a while.
    """
    told = re.search(r"([0-9.]+) images/s", text)
    per_s = float(told[1]) if told else 0.0
    return max(total - done, 0) / per_s if per_s > 0 else None


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
        done=job.progress_done,
        total=job.progress_total,
        text=job.progress_text,
        elapsed_s=elapsed_s,
        error=job.error or "",
    )


def _status(job: Job, now: datetime, lost_after_s: float) -> str:
    if jobs.is_lost(job, now, lost_after_s):
        return "lost"
    if job.status == JobStatus.RUNNING and job.stop_requested:
        return "stopping"
    return job.status.value
