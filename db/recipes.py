"""Label sets: frozen recipes and the masks they drew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.orm import Session

from db.datasets import InUse
from db.models import Dataset, Job, JobStatus, Label, LabelSet, Run
from db.names import checked_name


def create(
    session: Session, dataset: Dataset, name: str, method: str, params: dict[str, Any], seed: int, code_version: str
) -> LabelSet:
    """Freeze a recipe; its job draws the masks.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    label_set = LabelSet(
        dataset_id=dataset.id,
        name=checked_name(session, LabelSet, name),
        method=method,
        params=params,
        seed=seed,
        code_version=code_version,
        dataset_fingerprint=dataset.fingerprint,
    )
    session.add(label_set)
    session.flush()
    return label_set


def listing(session: Session, dataset_id: str | None = None) -> list[LabelSet]:
    """Return label sets, newest first."""
    query = select(LabelSet).order_by(LabelSet.created_at.desc())
    return list(session.scalars(query.where(LabelSet.dataset_id == dataset_id) if dataset_id else query))


def labelled_images(session: Session, label_set_id: str) -> set[str]:
    """Return the ids of the images that have their mask."""
    return set(session.scalars(select(Label.image_id).where(Label.label_set_id == label_set_id)))


def add_labels(session: Session, label_set_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add or replace labels: {image_id, area, dice | None, iou | None}. Their files are stored already."""
    for values in rows:
        session.merge(Label(label_set_id=label_set_id, **values))


def labels(session: Session, label_set_id: str) -> list[Label]:
    return list(session.scalars(select(Label).where(Label.label_set_id == label_set_id)))


def summary(session: Session, label_set_id: str) -> Row[Any]:
    """Return (images, area, dice, iou, scored): counts, and means of what is known. Dice and IoU are against truth."""
    return session.execute(
        select(
            func.count().label("images"),
            func.avg(Label.area).label("area"),
            func.avg(Label.dice).label("dice"),
            func.avg(Label.iou).label("iou"),
            func.count(Label.dice).label("scored"),
        ).where(Label.label_set_id == label_set_id)
    ).one()


def delete_label_set(session: Session, label_set_id: str) -> list[tuple[str, str]]:
    """Delete a label set; return [(kind of folder, id)] of files to remove afterwards.

    Raises:
        InUse: a run learned from it, or its job is at work.
    """
    runs = session.scalars(select(Run.name).where(Run.label_set_id == label_set_id)).all()
    if runs:
        raise InUse(f"The label set taught {', '.join(map(repr, runs))}. Delete that first.")
    label_set = session.get_one(LabelSet, label_set_id)
    job = session.get(Job, label_set.job_id) if label_set.job_id else None
    if job is not None and job.status in (JobStatus.QUEUED, JobStatus.RUNNING):
        raise InUse("The label set is being drawn. Stop that first.")
    session.execute(delete(LabelSet).where(LabelSet.id == label_set_id))
    return [("labels", label_set_id)]
