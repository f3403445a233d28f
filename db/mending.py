"""Changes that repair and restore make. Each is guarded: it never touches what a job is working on."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import jobs
from db.models import Job, JobStatus, Label, LabelSet, Prediction, PredictionSet
from db.session import changed_rows

PIECE = 500
"""Ids in one statement; SQLite allows some thousand parameters."""


def end_lost(session: Session, now: datetime, lost_after_s: float, sentence: str) -> int:
    """End running jobs whose worker has fallen silent as stopped, so that they can be resumed. Returns how many."""
    lost = [job.id for job in jobs.active(session) if jobs.is_lost(job, now, lost_after_s)]
    return _stop(session, lost, (JobStatus.RUNNING,), now, sentence)


def end_all(session: Session, now: datetime, sentence: str) -> int:
    """End every queued and running job as stopped: their workers belong to another machine or time."""
    return _stop(
        session, [job.id for job in jobs.active(session)], (JobStatus.QUEUED, JobStatus.RUNNING), now, sentence
    )


def _stop(
    session: Session, job_ids: Collection[str], states: Collection[JobStatus], now: datetime, sentence: str
) -> int:
    return changed_rows(
        session,
        update(Job)
        .where(Job.id.in_(job_ids), Job.status.in_(states))
        .values(status=JobStatus.STOPPED, finished_at=now, stop_requested=False, error=sentence)
        .execution_options(synchronize_session=False),
    )


def forget_predictions(session: Session, prediction_set_id: str, image_ids: Collection[str]) -> int:
    """Delete rows of predictions whose files are gone. Returns how many."""
    return sum(
        changed_rows(
            session,
            delete(Prediction).where(Prediction.prediction_set_id == prediction_set_id, Prediction.image_id.in_(piece)),
        )
        for piece in _pieces(image_ids)
    )


def forget_labels(session: Session, label_set_id: str, image_ids: Collection[str]) -> int:
    """Delete rows of labels whose files are gone, but for those that a person has dropped. Returns how many."""
    return sum(
        changed_rows(
            session,
            delete(Label).where(
                Label.label_set_id == label_set_id, Label.image_id.in_(piece), Label.dropped.is_(False)
            ),
        )
        for piece in _pieces(image_ids)
    )


def ask_for_retry(session: Session, job_id: str | None, sentence: str) -> bool:
    """Make a job that ended one that failed with a sentence, so that pages offer to try it again. False if it did not
    end, or is not there."""
    ended = [JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.FAILED]
    changed = changed_rows(
        session,
        update(Job)
        .where(Job.id == job_id, Job.status.in_(ended))
        .values(status=JobStatus.FAILED, error=sentence)
        .execution_options(synchronize_session=False),
    )
    return changed == 1


def job_of_predictions(session: Session, prediction_set_id: str) -> str | None:
    return session.scalar(select(PredictionSet.job_id).where(PredictionSet.id == prediction_set_id))


def job_of_labels(session: Session, label_set_id: str) -> str | None:
    return session.scalar(select(LabelSet.job_id).where(LabelSet.id == label_set_id))


def _pieces(image_ids: Collection[str]) -> list[list[str]]:
    ordered = sorted(image_ids)
    return [ordered[start : start + PIECE] for start in range(0, len(ordered), PIECE)]
