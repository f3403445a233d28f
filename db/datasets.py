"""Datasets, their images and their import reports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db import audit, measurements
from db.jobs import active, uses_run
from db.models import Dataset, Image, ImportEntry, Job, Label, LabelSet, PredictionSet, Probe, Run
from db.names import checked_name

IGNORED_CLASS = 255
"""In a lookup: pixels that are left out of loss and scores (`engine.imaging.class_maps.IGNORE`)."""


class InUse(ValueError):
    """What should be deleted or changed is used by a job, or other rows depend on it. The sentence names them."""


def create(session: Session, name: str, purpose: str = "dataset") -> Dataset:
    """Add an empty dataset.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    dataset = Dataset(name=checked_name(session, Dataset, name), purpose=purpose)
    session.add(dataset)
    session.flush()
    return dataset


def listing(session: Session, purpose: str = "dataset") -> list[Dataset]:
    """Return the datasets of one purpose, newest first."""
    return list(session.scalars(select(Dataset).where(Dataset.purpose == purpose).order_by(Dataset.created_at.desc())))


def images(
    session: Session, dataset_id: str, limit: int | None = None, offset: int = 0, *, excluded: bool = False
) -> list[Image]:
    """Return a dataset's images in their order, those that a person excluded only if `excluded`."""
    query = select(Image).where(Image.dataset_id == dataset_id).order_by(Image.position, Image.id)
    if not excluded:
        query = query.where(Image.excluded.is_(False))
    return list(session.scalars(query.limit(limit).offset(offset)))


def named_images(session: Session, dataset_id: str) -> list[tuple[str, str]]:
    """Return [(name, image id)]: every image by its name, and by the names of its duplicates that an import skipped.

    A person who imports a folder with two files of the same pixels expects a mask for each.
    """
    rows = select(Image.name, Image.id).where(Image.dataset_id == dataset_id).order_by(Image.position, Image.id)
    by_name = dict(session.execute(rows).all())
    doubles = select(ImportEntry.name, ImportEntry.same_as).where(
        ImportEntry.dataset_id == dataset_id, ImportEntry.same_as != ""
    )
    for name, same_as in session.execute(doubles.order_by(ImportEntry.id)).all():
        if same_as in by_name:
            by_name.setdefault(name, by_name[same_as])
    return list(by_name.items())


def content_hashes(session: Session, dataset_id: str) -> dict[str, str]:
    """Return {content hash: name} of a dataset's images."""
    rows = session.execute(select(Image.content_hash, Image.name).where(Image.dataset_id == dataset_id))
    return {row.content_hash: row.name for row in rows}


def add_images(
    session: Session,
    dataset_id: str,
    job_id: str,
    new_images: Sequence[dict[str, Any]],
    entries: Sequence[dict[str, Any]],
    truth_codes: Sequence[tuple[int, int | str]] | None = None,
) -> None:
    """Add image rows (their files are stored already) and report entries. Existing rows are not changed.

    `truth_codes` replaces the table of codes, which the truth of the new images uses, if it is given.
    """
    if truth_codes is not None:
        session.get_one(Dataset, dataset_id).truth_codes = [[code, key] for code, key in truth_codes]
    known = content_hashes(session, dataset_id)
    position = session.scalar(select(func.max(Image.position)).where(Image.dataset_id == dataset_id)) or 0
    for offset, values in enumerate(new_images, start=1):
        if values["content_hash"] not in known:
            session.add(Image(dataset_id=dataset_id, position=position + offset, **values))
    reported = set(session.scalars(select(ImportEntry.name).where(ImportEntry.job_id == job_id)))
    for values in entries:
        if values["name"] not in reported:
            session.add(ImportEntry(dataset_id=dataset_id, job_id=job_id, **values))
            reported.add(values["name"])


def truth_codes(session: Session, dataset_id: str) -> list[tuple[int, int | str]]:
    """Return (code, id, "#rrggbb" or class name) of a dataset's stored truth, unless a code stands for itself."""
    return [(code, key) for code, key in session.get_one(Dataset, dataset_id).truth_codes or []]


def class_count(dataset: Dataset) -> int:
    """Return how many classes the truth of a dataset has beside background."""
    return max((index for index in dataset.lookup if index != IGNORED_CLASS), default=0)


def finish_import(session: Session, dataset_id: str, classes: list[Any] | None, lookup: list[int] | None) -> Dataset:
    """Recount a dataset and refresh its fingerprint; store a proposed class mapping where none is set yet."""
    dataset = session.get_one(Dataset, dataset_id)
    included = Image.dataset_id == dataset_id, Image.excluded.is_(False)
    hashes = session.scalars(select(Image.content_hash).where(*included).order_by(Image.content_hash)).all()
    dataset.image_count = session.scalar(select(func.count()).where(*included)) or 0
    with_truth = select(func.count()).where(*included, Image.has_truth.is_(True))
    dataset.truth_count = session.scalar(with_truth) or 0
    dataset.fingerprint = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    if classes is not None and lookup is not None and not dataset.classes:
        dataset.classes, dataset.lookup = classes, lookup
        dataset.truth_version += 1
    return dataset


CHANGED_MEANWHILE = (
    "The classes were changed in the meantime, in another tab or by somebody else. Your changes were not saved: check "
    "the new classes, and change them again if needed."
)


class ChangedMeanwhile(ValueError):
    """Somebody else changed what was being edited. Their change is not overwritten."""


def set_classes(
    session: Session, dataset_id: str, classes: list[Any], lookup: list[int], seen_version: int | None = None
) -> None:
    """Change how truth values map to classes. Scores that were computed before belong to an older truth version.

    Args:
        seen_version: the dataset's `truth_version` that the change was made from, where a person saw it.

    Raises:
        ChangedMeanwhile: the classes are not those of `seen_version` any more.
        InUse: a job is working on the dataset, or it does not exist any more.
        ValueError: the lookup does not have 256 entries that name existing classes.
    """
    if len(lookup) != 256 or not all(0 <= index < len(classes) or index == IGNORED_CLASS for index in lookup):
        raise ValueError(f"A class lookup has 256 entries, each below {len(classes)} or 255. Got {len(lookup)}.")
    refuse_if_busy(session, dataset_id)
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise InUse("The dataset was deleted meanwhile.")
    if seen_version is not None and dataset.truth_version != seen_version:
        raise ChangedMeanwhile(CHANGED_MEANWHILE)
    dataset.classes, dataset.lookup = classes, lookup
    dataset.truth_version += 1


def extend_classes(session: Session, dataset_id: str, classes: list[Any], lookup: list[int]) -> None:
    """Store classes that an import has added to those of a dataset; what they mean for its other images is unchanged.

    Unlike `set_classes` it is for the import itself, while it is at work.
    """
    dataset = session.get_one(Dataset, dataset_id)
    dataset.classes, dataset.lookup = classes, lookup
    dataset.truth_version += 1


def report(session: Session, dataset_id: str, taken: bool | None = None) -> list[ImportEntry]:
    """Return the per-file import report: skipped files first, then those taken with a note."""
    query = select(ImportEntry).where(ImportEntry.dataset_id == dataset_id)
    if taken is not None:
        query = query.where(ImportEntry.taken.is_(taken))
    return list(session.scalars(query.order_by(ImportEntry.taken, ImportEntry.reason == "", ImportEntry.id)))


def shapes(session: Session, dataset_id: str) -> dict[tuple[int, int], int]:
    """Return how many images a dataset has of each (height, width)."""
    query = select(Image.height, Image.width, func.count()).where(Image.dataset_id == dataset_id)
    return {
        (height, width): count for height, width, count in session.execute(query.group_by(Image.height, Image.width))
    }


def jobs_at_work(session: Session, dataset_id: str) -> list[Job]:
    """Return the queued and running jobs that read or write a dataset."""
    runs = set(session.scalars(select(Run.id).where(Run.dataset_id == dataset_id)))
    return [job for job in active(session) if job.payload.get("dataset") == dataset_id or uses_run(job, runs)]


def refuse_if_busy(session: Session, dataset_id: str) -> None:
    busy = jobs_at_work(session, dataset_id)
    if busy:
        kinds = ", ".join(sorted({job.kind for job in busy}))
        raise InUse(f"The dataset is in use by a job ({kinds}). Stop it or wait for it to end, then try again.")


def delete_dataset(session: Session, dataset_id: str) -> list[tuple[str, str]]:
    """Delete a dataset with its mask sets, runs and predictions; return [(kind of folder, id)] of files to remove.

    Remove the files after the transaction: a crash in between leaves orphans on disk, never rows without files.

    Raises:
        InUse: a job is working on it.
    """
    refuse_if_busy(session, dataset_id)
    dataset = session.get(Dataset, dataset_id)
    if dataset is not None:  # else another tab was faster
        audit.record(session, "deleted", "dataset", dataset_id, dataset.name)
    runs = list(session.scalars(select(Run.id).where(Run.dataset_id == dataset_id)))
    label_sets = list(session.scalars(select(LabelSet.id).where(LabelSet.dataset_id == dataset_id)))
    predictions = list(
        session.scalars(
            select(PredictionSet.id).where((PredictionSet.dataset_id == dataset_id) | PredictionSet.run_id.in_(runs))
        )
    )
    measured = measurements.folders(session, dataset_id=dataset_id, prediction_sets=predictions)
    session.execute(delete(PredictionSet).where(PredictionSet.id.in_(predictions)))
    session.execute(delete(Run).where(Run.id.in_(runs)))
    session.execute(delete(Label).where(Label.label_set_id.in_(label_sets)))
    session.execute(delete(LabelSet).where(LabelSet.id.in_(label_sets)))
    session.execute(delete(Dataset).where(Dataset.id == dataset_id))
    return [
        ("dataset", dataset_id),
        *(("labels", id_) for id_ in label_sets),
        *(("run", id_) for id_ in runs),
        *(("prediction", id_) for id_ in predictions),
        *measured,
    ]


def probe_images(session: Session, dataset_id: str, count: int = 8) -> list[Image]:
    """Return the chosen probe images of a dataset, or `count` spread evenly over it where none are chosen."""
    chosen = (
        select(Image)
        .join(Probe, Probe.image_id == Image.id)
        .where(Probe.dataset_id == dataset_id, Image.excluded.is_(False))
    )
    found = list(session.scalars(chosen.order_by(Probe.position)))
    if found:
        return found
    included = Image.dataset_id == dataset_id, Image.excluded.is_(False)
    place = func.row_number().over(order_by=(Image.position, Image.id)).label("place")
    placed = select(Image.id, place).where(*included).subquery()
    total = session.scalar(select(func.count()).where(*included)) or 0
    count = min(count, total)
    places = [1 + (2 * i + 1) * total // (2 * count) for i in range(count)]
    spread = select(Image).join(placed, placed.c.id == Image.id).where(placed.c.place.in_(places))
    return list(session.scalars(spread.order_by(placed.c.place)))


def set_probe_images(session: Session, dataset_id: str, image_ids: Iterable[str]) -> None:
    """Choose the probe images of a dataset, in this order; none gives back the even spread.

    Images that were removed meanwhile are left out.
    """
    there = set(session.scalars(select(Image.id).where(Image.dataset_id == dataset_id)))
    session.execute(delete(Probe).where(Probe.dataset_id == dataset_id))
    session.add_all(
        Probe(dataset_id=dataset_id, image_id=image_id, position=position)
        for position, image_id in enumerate(id_ for id_ in dict.fromkeys(image_ids) if id_ in there)
    )
