"""What a job can prepare to take home of masks or of a run, how that stands, and whether it is still true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view
from db import exports
from db.models import Job
from engine.exports.base import Format, Owner, formats_of


@dataclass(frozen=True)
class Offer:
    """One format of one thing. `job` is what was last asked for; `bytes` is the size of the file that came of it.

    `out_of_date` says in a sentence why that file is not what one would get now; empty while it is.
    """

    format: Format
    job: JobView | None
    bytes: int | None
    out_of_date: str

    @property
    def at_work(self) -> bool:
        return self.job is not None and self.job.at_work

    @property
    def ready(self) -> bool:
        return self.bytes is not None


def offers(
    session: Session, owner: Owner, owner_id: str, threshold: float, now: datetime, lost_after_s: float
) -> tuple[Offer, ...]:
    """Return every format of a thing, as its pages show them at a mask threshold."""
    latest = exports.latest(session, owner, owner_id)
    stamp = exports.stamp(session, owner, owner_id)
    found = []
    for made in formats_of(owner):
        job = latest.get(made.name)
        size = job.result.get("bytes") if job is not None else None
        stale = "" if job is None or size is None else _out_of_date(made, job, threshold, stamp)
        found.append(Offer(made, job_view(job, now, lost_after_s), size, stale))
    return tuple(found)


def _out_of_date(made: Format, job: Job, threshold: float, stamp: str) -> str:
    if job.payload["stamp"] != stamp:
        changed = "The masks or the classes have changed" if made.thresholded else "The run has changed"
        return f"{changed} since it was made."
    if made.thresholded and abs(job.payload["threshold"] - threshold) > 1e-9:
        return f"It was made at threshold {job.payload['threshold']:.2f}, and the page is at {threshold:.2f}."
    return ""
