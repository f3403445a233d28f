"""Changes that repair and restore make. Each is guarded: it never touches what a job is working on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import jobs
from db.columns import utc_now
from db.inventory import busy_datasets
from db.models import Job, JobStatus, Label, LabelSet, Measurement, Prediction, PredictionSet, Sweep, SweepState, Worker
from db.session import Database, changed_rows, chunked


class RepairTransaction:
    """One writing transaction of a repair (see `repairing`)."""

    def __init__(self, session: Session, lost_after_s: float) -> None:
        self._session, self._lost_after_s = session, lost_after_s

    def busy(self) -> set[str]:
        """Return the ids of datasets that a queued or living job reads or writes."""
        return busy_datasets(self._session, utc_now(), self._lost_after_s)

    def end_lost(self, sentence: str) -> int:
        """End running jobs whose worker is silent as stopped, so that they can be resumed. Returns how many."""
        now = utc_now()
        lost = [job.id for job in jobs.active(self._session) if jobs.is_lost(job, now, self._lost_after_s)]
        return _stop(self._session, lost, sentence)

    def delete_predictions(self, prediction_set_id: str, image_ids: Collection[str]) -> int:
        """Delete rows of predictions whose files are gone. Returns how many."""
        of_set = delete(Prediction).where(Prediction.prediction_set_id == prediction_set_id)
        return sum(
            changed_rows(self._session, of_set.where(Prediction.image_id.in_(ids))) for ids in chunked(image_ids)
        )

    def delete_labels(self, label_set_id: str, image_ids: Collection[str]) -> int:
        """Delete rows of labels whose files are gone, except those that a person has dropped. Returns how many."""
        of_set = delete(Label).where(Label.label_set_id == label_set_id, Label.dropped.is_(False))
        return sum(changed_rows(self._session, of_set.where(Label.image_id.in_(ids))) for ids in chunked(image_ids))

    def offer_retry(self, kind: str, set_id: str, sentence: str) -> bool:
        """Mark the job of a set of "labels" or "predictions", or of "objects", as failed: pages offer to retry it.

        What was measured of objects counts as not measured yet.
        Returns False if there is no such job or it has not ended.
        """
        tables: dict[str, type[LabelSet] | type[PredictionSet] | type[Measurement]]
        tables = {"labels": LabelSet, "predictions": PredictionSet, "objects": Measurement}
        table = tables[kind]
        job_id = self._session.scalar(select(table.job_id).where(table.id == set_id))
        ended = [JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.FAILED]
        change = update(Job).where(Job.id == job_id, Job.status.in_(ended))
        offered = changed_rows(self._session, change.values(status=JobStatus.FAILED, error=sentence)) == 1
        if offered and table is Measurement:
            self._session.execute(update(Measurement).where(Measurement.id == set_id).values(stamp=""))
        return offered


@contextmanager
def repairing(database: Database, lost_after_s: float) -> Iterator[RepairTransaction]:
    """Open a transaction for one step of a repair; it commits at the end of the block."""
    with database.writing() as session:
        yield RepairTransaction(session, lost_after_s)


def end_all(session: Session, sentence: str) -> int:
    """End all queued and running jobs, and all sweeps, as stopped: their workers belong to another machine or time."""
    session.execute(delete(Worker))
    session.execute(update(Sweep).where(Sweep.state == SweepState.RUNNING).values(state=SweepState.STOPPED))
    return _stop(session, [job.id for job in jobs.active(session)], sentence)


def _stop(session: Session, job_ids: Collection[str], sentence: str) -> int:
    active = [JobStatus.QUEUED, JobStatus.RUNNING]
    values = {"status": JobStatus.STOPPED, "finished_at": utc_now(), "stop_requested": False, "error": sentence}
    return changed_rows(session, update(Job).where(Job.id.in_(job_ids), Job.status.in_(active)).values(**values))
