"""The formats that a job can export from masks or a run, with their state."""

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
    """One format of one owner. `job` is its latest export; `bytes` is the size of the file, None without one.

    `out_of_date` is why that file is outdated; empty if it is current.
    """

    format: Format
    job: JobView | None
    bytes: int | None
    out_of_date: str


def offers(
    session: Session, owner: Owner, owner_id: str, threshold: float, now: datetime, lost_after_s: float
) -> tuple[Offer, ...]:
    """Return every format of an owner at a mask threshold."""
    latest = exports.latest(session, owner, owner_id)
    stamp = exports.stamp(session, owner, owner_id)
    result = []
    for offered in formats_of(owner):
        job = latest.get(offered.name)
        size = job.result.get("bytes") if job is not None else None
        stale = "" if job is None or size is None else _out_of_date(offered, job, threshold, stamp)
        result.append(Offer(offered, job_view(job, now, lost_after_s), size, stale))
    return tuple(result)


def _out_of_date(offered: Format, job: Job, threshold: float, stamp: str) -> str:
    if job.payload["stamp"] != stamp:
        changed = "The masks or the classes have changed" if offered.thresholded else "The run has changed"
        return f"{changed} since it was exported."
    if offered.thresholded and abs(job.payload["threshold"] - threshold) > 1e-9:
        return f"It was exported at threshold {job.payload['threshold']:.2f}, and the page is at {threshold:.2f}."
    return ""
