"""Images of a dataset that a person excludes, includes again, or removes with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db import audit
from db.datasets import finish_import, refuse_if_busy
from db.models import Correction, Dataset, Image, ImportEntry, Label, LabelSet, Prediction, PredictionSet, Run
from db.names import checked_name
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


def named(session: Session, dataset_id: str, names: Collection[str]) -> dict[str, str]:
    """Return {name: image id} of the images of a dataset that have one of these names or ids."""
    rows = session.execute(select(Image.id, Image.name).where(Image.dataset_id == dataset_id)).all()
    return {key: row.id for row in rows for key in (row.id, row.name) if key in names}


def rename_dataset(session: Session, dataset_id: str, name: str) -> str:
    """Give a dataset another name; return it trimmed.

    Raises:
        NameTaken: it is empty, too long, or another dataset's.
    """
    dataset = session.get_one(Dataset, dataset_id)
    if " ".join(name.split()) != dataset.name:
        before, dataset.name = dataset.name, checked_name(session, Dataset, name)
        audit.record(session, "renamed", "dataset", dataset_id, dataset.name, f"was {before}")
    return dataset.name
