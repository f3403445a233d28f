"""The truth of a dataset that already has its images: added, replaced or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import audit, datasets, runs
from db.models import Dataset, Image, ImportEntry, Label, Prediction, PredictionSet, Run
from db.session import chunked

Codes = Sequence[tuple[int, int | str]]


def set_truth(
    session: Session,
    dataset_id: str,
    job_id: str,
    truth_values: dict[str, list[Any]],
    entries: Sequence[dict[str, Any]],
    codes: Codes,
) -> None:
    """Give images a truth, {image id: its values}; the files are stored already. Scores against the old one go.

    `codes` replaces the dataset's table of codes.
    """
    dataset = session.get_one(Dataset, dataset_id)
    dataset.truth_codes = [[code, key] for code, key in codes]
    for image_id, values in truth_values.items():
        image = session.get_one(Image, image_id)
        image.has_truth, image.truth_values = True, values
    if truth_values:
        dataset.truth_version += 1
        _forget_scores(session, list(truth_values))
    add_entries(session, dataset_id, job_id, entries)


def add_entries(session: Session, dataset_id: str, job_id: str, entries: Sequence[dict[str, Any]]) -> None:
    """Add entries to the report on a dataset's files, except those of a name that the job has reported."""
    reported = set(session.scalars(select(ImportEntry.name).where(ImportEntry.job_id == job_id)))
    for values in entries:
        if values["name"] not in reported:
            session.add(ImportEntry(dataset_id=dataset_id, job_id=job_id, **values))
            reported.add(values["name"])


def forget_classes(session: Session, dataset_id: str, codes: Codes = ()) -> None:
    """Drop a dataset's classes, which belong to a truth that it has no more, and all but `codes` of its codes."""
    dataset = session.get_one(Dataset, dataset_id)
    dataset.classes, dataset.lookup = [], []
    dataset.truth_codes = [[code, key] for code, key in codes] or None


def masks_of(session: Session, image_ids: Sequence[str]) -> list[tuple[type[Label] | type[Prediction], str, str]]:
    """Return (table, id of the set, id of the image) of every pseudo-label and prediction of images."""
    found: list[tuple[type[Label] | type[Prediction], str, str]] = []
    for some in chunked(image_ids):
        labels = select(Label.label_set_id, Label.image_id).where(Label.image_id.in_(some))
        found += [(Label, set_id, image_id) for set_id, image_id in session.execute(labels)]
        predicted = select(Prediction.prediction_set_id, Prediction.image_id).where(Prediction.image_id.in_(some))
        found += [(Prediction, set_id, image_id) for set_id, image_id in session.execute(predicted)]
    return found


def sets_of_same_classes(session: Session, dataset_id: str) -> set[str]:
    """Return the ids of the prediction sets of a dataset whose runs tell its classes apart."""
    dataset = session.get_one(Dataset, dataset_id)
    query = select(PredictionSet.id, Run).join(Run, Run.id == PredictionSet.run_id)
    rows = session.execute(query.where(PredictionSet.dataset_id == dataset_id))
    return {set_id for set_id, run in rows if runs.same_classes(run, dataset)}


def set_scores(
    session: Session, table: type[Label] | type[Prediction], set_id: str, image_id: str, scores: dict[str, Any]
) -> None:
    """Store the scores of one mask against truth, {column: value}."""
    of_set = Label.label_set_id if table is Label else Prediction.prediction_set_id
    session.execute(update(table).where(of_set == set_id, table.image_id == image_id).values(**scores))


def remove_truth(session: Session, dataset_id: str) -> list[str]:
    """Remove the truth of all images, its classes and all scores against it; return the ids of the images.

    Remove the files after the transaction: a crash in between leaves files that nothing names.

    Raises:
        InUse: a job is working on the dataset.
    """
    datasets.refuse_if_busy(session, dataset_id)
    dataset = session.get_one(Dataset, dataset_id)
    ids = list(session.scalars(select(Image.id).where(Image.dataset_id == dataset_id, Image.has_truth.is_(True))))
    for some in chunked(ids):
        session.execute(update(Image).where(Image.id.in_(some)).values(has_truth=False, truth_values=[]))
    _forget_scores(session, ids)
    forget_classes(session, dataset_id)
    dataset.truth_count = 0
    dataset.truth_version += 1
    audit.record(session, "deleted", "truth", dataset_id, dataset.name, f"of {len(ids):,} images")
    return ids


def _forget_scores(session: Session, image_ids: Sequence[str]) -> None:
    of_predictions = dict.fromkeys(["truth_dice", "truth_iou", "truth_counts", "truth_confusion"])
    for some in chunked(image_ids):
        session.execute(update(Label).where(Label.image_id.in_(some)).values(dice=None, iou=None))
        session.execute(update(Prediction).where(Prediction.image_id.in_(some)).values(**of_predictions))
