"""Prepared downloads: which exist, and whether their source has changed since.

The job's row is the record: its payload holds what was requested, its result names the file.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import corrections, predictions
from db.datasets import InUse
from db.models import Dataset, Job, JobKind, JobStatus, Label, LabelSet, Measurement, Metric, PredictionSet, Run


def payload_ids(session: Session, owner: str, owner_id: str) -> dict[str, str]:
    """Return the ids that a job's payload names, so that nothing it reads is deleted while it runs."""
    if owner == "run":
        run = session.get_one(Run, owner_id)
        return {"run": run.id, "dataset": run.dataset_id}
    if owner == "prediction_set":
        found = session.get_one(PredictionSet, owner_id)
        return {"prediction_set": found.id, "run": found.run_id, "dataset": found.dataset_id}
    if owner == "measurement":
        return {"measurement": owner_id, "dataset": session.get_one(Measurement, owner_id).dataset_id}
    label_set = session.get_one(LabelSet, owner_id)
    return {"label_set": label_set.id, "dataset": label_set.dataset_id}


def latest(session: Session, owner: str, owner_id: str) -> dict[str, Job]:
    """Return {format: its newest job} of the exports of a run, prediction set, mask set or measurement (`owner`)."""
    query = select(Job).where(Job.kind == JobKind.EXPORT).order_by(Job.created_at.desc(), Job.id)
    found: dict[str, Job] = {}
    for job in session.scalars(query):
        if job.payload["owner"] == owner and job.payload[owner] == owner_id:
            found.setdefault(job.payload["what"], job)
    return found


def stamp(session: Session, owner: str, owner_id: str) -> str:
    """Return a text that changes whenever an export of `owner` would have other content."""
    if owner == "run":
        run = session.get_one(Run, owner_id)
        own = session.scalar(
            select(PredictionSet.id).where(PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id)
        )
        epochs = session.scalar(select(func.max(Metric.epoch)).where(Metric.run_id == run.id))
        parts: list[Any] = [run.name, run.best_epoch, run.best_val_dice, run.train_seconds, epochs]
        return "/".join(map(repr, parts)) + (predictions.stamp(session, own) if own else "")
    if owner == "prediction_set":
        found = session.get_one(PredictionSet, owner_id)
        return f"{predictions.stamp(session, owner_id)}/{_of_dataset(session, found.dataset_id)}"
    if owner == "measurement":  # its files are written once; only measuring again changes them
        return session.get_one(Measurement, owner_id).stamp
    label_set = session.get_one(LabelSet, owner_id)
    count = session.scalar(select(func.count()).where(Label.label_set_id == owner_id))
    drawn = corrections.revisions(session, label_set.dataset_id)
    return f"{count}/{_of_dataset(session, label_set.dataset_id)}" + (f"/{drawn}" if drawn else "")


def owner_name(session: Session, owner: str, owner_id: str) -> str:
    """Return the display name of what an export is made from."""
    if owner == "prediction_set":
        return predictions.title(session, owner_id)
    if owner == "run":
        return session.get_one(Run, owner_id).name
    if owner == "measurement":
        found = session.get_one(Measurement, owner_id)
        if found.prediction_set_id:
            return f"Objects of {predictions.title(session, found.prediction_set_id)}"
        if found.label_set_id:
            return f"Objects of {session.get_one(LabelSet, found.label_set_id).name}"
        return f"Objects of the truth of {session.get_one(Dataset, found.dataset_id).name}"
    return session.get_one(LabelSet, owner_id).name


def refuse_while_read(session: Session, owner: str, owner_id: str) -> None:
    """Raise `InUse` if a job is exporting `owner` or measuring its objects."""
    reading = {
        JobKind.EXPORT: "A download of it is being prepared.",
        JobKind.OBJECTS: "Its objects are being measured.",
    }
    at_work = select(Job).where(Job.kind.in_(reading), Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]))
    for job in session.scalars(at_work):
        if job.payload.get(owner) == owner_id:
            raise InUse(f"{reading[JobKind(job.kind)]} Wait for that to end, or stop it, then try again.")


def _of_dataset(session: Session, dataset_id: str) -> str:
    """Return the names of a dataset's classes, and the region that is left out where there is one."""
    dataset = session.get_one(Dataset, dataset_id)
    names = "|".join(str(entry["name"]) for entry in dataset.classes)
    return f"{names}/{dataset.left_out_id}" if dataset.left_out_id else names
