"""Images of a dataset that a person excludes, includes again, or removes with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.datasets import finish_import, refuse_if_busy
from db.models import Correction, Dataset, Image, ImportEntry, Job, Label, LabelSet, Prediction, PredictionSet, Run
from db.names import NameTaken, checked_name
from db.session import changed_rows, chunked

REMOVED = "Removed from the dataset by a person."


@dataclass(frozen=True)
class Belongings:
    """What there is of some images beside their pixels: counts of truth, corrections, masks and predictions."""

    images: int
    truth: int
    corrections: int
    labels: int
    predictions: int


@dataclass(frozen=True)
class Removed:
    """What was removed: ids of the images and corrections, and of all that may hold files of these images."""

    dataset_id: str
    image_ids: tuple[str, ...]
    correction_ids: tuple[str, ...] = ()
    label_set_ids: tuple[str, ...] = ()
    prediction_set_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()


def belongings(session: Session, dataset_id: str, image_ids: Collection[str]) -> Belongings:
    """Return what would be removed with images."""
    totals = dict.fromkeys(Belongings.__dataclass_fields__, 0)
    here = select(func.count()).select_from(Image).where(Image.dataset_id == dataset_id)
    for ids in chunked(image_ids):
        of_these = here.where(Image.id.in_(ids))
        for name, query in {
            "images": of_these,
            "truth": of_these.where(Image.has_truth.is_(True)),
            "corrections": of_these.where(Image.correction_revision > 0),
            "labels": select(func.count()).select_from(Label).where(Label.image_id.in_(ids)),
            "predictions": select(func.count()).select_from(Prediction).where(Prediction.image_id.in_(ids)),
        }.items():
            totals[name] += session.scalar(query) or 0
    return Belongings(**totals)


def exclude_images(session: Session, dataset_id: str, image_ids: Collection[str], excluded: bool = True) -> int:
    """Exclude images from what begins from now on, or include them again; return how many changed.

    Masks and scores that were computed before stay as they are.

    Raises:
        InUse: a job is working on the dataset.
    """
    refuse_if_busy(session, dataset_id)
    change = update(Image).where(Image.dataset_id == dataset_id, Image.excluded.is_(not excluded))
    changed = sum(
        changed_rows(session, change.where(Image.id.in_(ids)).values(excluded=excluded)) for ids in chunked(image_ids)
    )
    if changed:
        dataset = finish_import(session, dataset_id, None, None)
        action = "excluded images" if excluded else "included images"
        audit.record(session, action, "dataset", dataset_id, dataset.name, f"{changed} images")
    return changed


def remove_images(session: Session, dataset_id: str, image_ids: Collection[str]) -> Removed:
    """Delete images with their truth, corrections, masks and predictions; return what is left to do with files.

    Remove the files after the transaction: a crash in between leaves files without rows, never rows without files.

    Raises:
        InUse: a job is working on the dataset.
    """
    refuse_if_busy(session, dataset_id)
    there: list[str] = []
    corrections: list[str] = []
    for ids in chunked(image_ids):
        of_these = Image.dataset_id == dataset_id, Image.id.in_(ids)
        names = dict(session.execute(select(Image.id, Image.name).where(*of_these)).all())
        _claim_fewer(session, list(names))
        corrections += session.scalars(select(Correction.id).where(Correction.image_id.in_(list(names))))
        entries = update(ImportEntry).where(ImportEntry.dataset_id == dataset_id, ImportEntry.taken.is_(True))
        session.execute(entries.where(ImportEntry.name.in_(names.values())).values(taken=False, reason=REMOVED))
        session.execute(delete(Image).where(*of_these))  # the rest goes with them
        there += names
    if not there:
        return Removed(dataset_id, ())
    dataset = finish_import(session, dataset_id, None, None)
    audit.record(session, "removed images", "dataset", dataset_id, dataset.name, f"{len(there)} images")
    return Removed(
        dataset_id,
        tuple(there),
        tuple(corrections),
        tuple(session.scalars(select(LabelSet.id).where(LabelSet.dataset_id == dataset_id))),
        tuple(session.scalars(select(PredictionSet.id).where(PredictionSet.dataset_id == dataset_id))),
        tuple(session.scalars(select(Run.id).where(Run.dataset_id == dataset_id))),
    )


def _claim_fewer(session: Session, image_ids: Collection[str]) -> None:
    """Take the masks of images out of the counts of the jobs that computed them."""
    label_sets = (
        select(LabelSet.job_id, LabelSet.id, func.count())
        .join(Label, Label.label_set_id == LabelSet.id)
        .where(Label.image_id.in_(image_ids))
    )
    prediction_sets = (
        select(PredictionSet.job_id, PredictionSet.id, func.count())
        .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)
        .where(Prediction.image_id.in_(image_ids))
    )
    for job_id, set_id, gone in [
        *session.execute(label_sets.group_by(LabelSet.id)),
        *session.execute(prediction_sets.group_by(PredictionSet.id)),
    ]:
        job = session.get(Job, job_id) if job_id else None
        if job is not None:
            job.result = _without(job.result, set_id, gone)


def _without(result: dict[str, Any], set_id: str, gone: int) -> dict[str, Any]:
    """Return a job's result with `gone` fewer masks of a set; those of further runs are under "also"."""
    changed = dict(result)
    if changed.get("prediction_set", set_id) == set_id and isinstance(changed.get("images"), int):
        changed["images"] = max(changed["images"] - gone, 0)
    if "also" in changed:
        changed["also"] = [_without(each, set_id, gone) for each in changed["also"]]
    return changed


def named(session: Session, dataset_id: str, names: Collection[str]) -> dict[str, str]:
    """Return {name: image id} of the images of a dataset that have one of these names or ids."""
    rows = session.execute(select(Image.id, Image.name).where(Image.dataset_id == dataset_id)).all()
    return {key: row.id for row in rows for key in (row.id, row.name) if key in names}


def rename_dataset(session: Session, dataset_id: str, name: str) -> str:
    """Give a dataset another name; return it trimmed.

    Raises:
        NameTaken: it is empty, too long, or another dataset's; or the dataset does not exist any more.
    """
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NameTaken("The dataset was deleted meanwhile.")
    if " ".join(name.split()) != dataset.name:
        before, dataset.name = dataset.name, checked_name(session, Dataset, name)
        audit.record(session, "renamed", "dataset", dataset_id, dataset.name, f"was {before}")
    return dataset.name
