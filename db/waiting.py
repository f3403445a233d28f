"""Work that a person asked for before and that has not ended yet, so that pressing a button twice starts it once."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from db.jobs import active
from db.models import Job, JobKind, LabelSet, Run
from db.retraining import origin_id


def label_set_at_work(
    session: Session, dataset_id: str, method: str, params: dict[str, Any], seed: int, state: dict[str, Any] | None
) -> LabelSet | None:
    """Return the mask set of the same recipe whose job is queued or running, or None.

    A recipe without a `state` is the same as one whose job has learned it meanwhile.
    """
    for job in _of_dataset(session, JobKind.LABEL, dataset_id):
        found = session.get(LabelSet, job.payload["label_set"])
        if found is None or (found.method, found.params, found.seed) != (method, params, seed):
            continue
        if state is None or found.state == state:
            return found
    return None


def run_at_work(session: Session, dataset_id: str, label_set_id: str | None, config: dict[str, Any]) -> Run | None:
    """Return the run that is to learn the same with the same settings and is queued or training, or None.

    Args:
        config: as JSON, with the number of classes that the run has.
    """
    for job in _of_dataset(session, JobKind.TRAIN, dataset_id):
        found = session.get(Run, job.payload["run"])
        if found is not None and (found.label_set_id, found.config) == (label_set_id, config) and not origin_id(found):
            return found
    return None


def _of_dataset(session: Session, kind: JobKind, dataset_id: str) -> list[Job]:
    return [job for job in active(session) if job.kind == kind and job.payload.get("dataset") == dataset_id]
