"""Data of the Datasets page: the datasets, the images of one by page, its truth, and what is deleted with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from dashboard.facts import urls
from dashboard.facts.jobs import JobView, job_view
from db import datasets
from db.models import Dataset, Image, ImportEntry, Job, Label, LabelSet, Prediction, PredictionSet, Run
from engine.datasets import truth as truth_values
from engine.imaging.class_colours import class_colours

THUMBNAILS = 4
TruthFilter = Literal["all", "with truth", "without truth", "excluded"]


@dataclass(frozen=True)
class Card:
    """One dataset in the list. `thumbnails` are URLs of its first images."""

    id: str
    name: str
    images: int
    truth: int
    size_bytes: int
    created_at: datetime
    thumbnails: tuple[str, ...]
    job: JobView | None

    @property
    def active(self) -> bool:
        """Whether its import is queued or running."""
        return self.job is not None and self.job.at_work

    @property
    def failed(self) -> bool:
        """Whether its latest import failed."""
        return self.job is not None and self.job.status == "failed"


@dataclass(frozen=True)
class DatasetView:
    """One dataset. `classes` are names by class index, 0 the background; empty as long as there is no truth. `colours`
    are those that a person chose for them, "" for the palette's.

    `images` and `truth` count without the `excluded` images. `noted` counts files that were imported with a note in
    the report. `labelled`: it has a mask set. `notes` are sentences on how the latest import paired images and truth.
    """

    id: str
    name: str
    images: int
    truth: int
    created_at: datetime
    truth_version: int
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    lookup: tuple[int, ...]
    skipped: int
    job: JobView | None
    notes: tuple[str, ...] = ()
    noted: int = 0
    excluded: int = 0
    labelled: bool = False

    @property
    def next_step(self) -> Literal["masks", "train"]:
        """What comes next: masks, unless there are some to train on."""
        return "train" if self.labelled or 0 < self.truth == self.images else "masks"

    @property
    def class_colours(self) -> list[str]:
        """The colour of each class by index."""
        return class_colours({"index": index, "colour": colour} for index, colour in enumerate(self.colours))


@dataclass(frozen=True)
class Deletion:
    """What is deleted with a dataset. `masks` counts pseudo-labels and predictions; `busy` is what prevents it."""

    name: str
    images: int
    truth: int
    label_sets: tuple[str, ...]
    runs: tuple[str, ...]
    masks: int
    busy: str


def proposed_name(files: Sequence[str]) -> str:
    """Return a name for uploaded files: that of the zip, of their common folder, or of the only file; else ""."""
    if len(files) == 1:
        return PurePosixPath(files[0]).stem
    zips = [name for name in files if name.lower().endswith(".zip")]
    folders = {PurePosixPath(name).parts[0] for name in files if "/" in name}
    if len(folders) == 1 and all("/" in name for name in files):
        return folders.pop()
    return PurePosixPath(zips[0]).stem if zips else ""


def cards(
    session: Session, now: datetime, lost_after_s: float, size_bytes: Callable[[Dataset], int] = lambda dataset: 0
) -> tuple[Card, ...]:
    """Return the datasets, newest first. `size_bytes` returns the size of a dataset's files."""
    shown = []
    for dataset in datasets.listing(session):
        first = datasets.images(session, dataset.id, limit=THUMBNAILS)
        shown.append(
            Card(
                id=dataset.id,
                name=dataset.name,
                images=dataset.image_count,
                truth=dataset.truth_count,
                size_bytes=size_bytes(dataset),
                created_at=dataset.created_at,
                thumbnails=tuple(urls.thumbnail(dataset.id, image.id) for image in first),
                job=_job(session, dataset, now, lost_after_s),
            )
        )
    return tuple(shown)


def dataset_view(session: Session, dataset_id: str | None, now: datetime, lost_after_s: float) -> DatasetView | None:
    """Return one dataset, or None if there is none of that id."""
    dataset = session.get(Dataset, dataset_id) if dataset_id else None
    if dataset is None:
        return None
    job = session.get(Job, dataset.job_id) if dataset.job_id else None
    excluded = select(func.count()).where(Image.dataset_id == dataset.id, Image.excluded.is_(True))
    entries = select(func.count()).where(ImportEntry.dataset_id == dataset.id)
    skipped = entries.where(ImportEntry.taken.is_(False))
    noted = entries.where(ImportEntry.taken.is_(True), ImportEntry.reason != "")
    return DatasetView(
        id=dataset.id,
        name=dataset.name,
        images=dataset.image_count,
        truth=dataset.truth_count,
        created_at=dataset.created_at,
        truth_version=dataset.truth_version,
        classes=tuple(entry["name"] for entry in dataset.classes),
        colours=tuple(entry.get("colour") or "" for entry in dataset.classes),
        lookup=tuple(dataset.lookup),
        skipped=session.scalar(skipped) or 0,
        noted=session.scalar(noted) or 0,
        job=_job(session, dataset, now, lost_after_s),
        excluded=session.scalar(excluded) or 0,
        labelled=session.scalar(select(LabelSet.id).where(LabelSet.dataset_id == dataset.id).limit(1)) is not None,
        notes=tuple(job.result.get("notes", ())) if job else (),
    )


def job_of(session: Session, dataset_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the latest import job of a dataset: one small query, for a page that polls every second."""
    dataset = session.get(Dataset, dataset_id)
    return _job(session, dataset, now, lost_after_s) if dataset is not None else None


def count_images(session: Session, dataset_id: str, search: str = "", truth: TruthFilter = "all") -> int:
    """Return how many images have `search` in their name, ignoring case, and pass the filter."""
    return session.scalar(select(func.count()).select_from(Image).where(*_wanted(dataset_id, search, truth))) or 0


def images_page(
    session: Session, dataset_id: str, page: int = 1, search: str = "", truth: TruthFilter = "all", per_page: int = 48
) -> list[Image]:
    """Return a page (from 1, clamped to the existing pages) of the images that `count_images` counts."""
    pages = max(1, -(-count_images(session, dataset_id, search, truth) // per_page))
    query = select(Image).where(*_wanted(dataset_id, search, truth)).order_by(Image.position, Image.id)
    return list(session.scalars(query.limit(per_page).offset((min(max(page, 1), pages) - 1) * per_page)))


def _wanted(dataset_id: str, search: str, truth: TruthFilter) -> list[ColumnElement[bool]]:
    wanted = [Image.dataset_id == dataset_id]
    if search.strip():
        wanted.append(Image.name.icontains(search.strip(), autoescape=True))
    if truth == "excluded":
        wanted.append(Image.excluded.is_(True))
    elif truth != "all":
        wanted.append(Image.has_truth.is_(truth == "with truth"))
    return wanted


def truth_facts(session: Session, dataset_id: str) -> truth_values.ValueFacts:
    """Return the facts about the values of all truth masks."""
    return truth_values.facts(session.scalars(select(Image.truth_values).where(_of_truth(dataset_id))))


def example_images(session: Session, dataset_id: str, count: int = 3) -> tuple[tuple[str, str], ...]:
    """Return (id, name) of up to `count` images with truth, those with the most different truth values first."""
    query = select(Image.id, Image.name, Image.truth_values).where(_of_truth(dataset_id))
    rows = session.execute(query.order_by(Image.position, Image.id)).all()
    rows = sorted(rows, key=lambda row: _clear_values(row.truth_values), reverse=True)
    return tuple((row.id, row.name) for row in rows[:count])


def _of_truth(dataset_id: str) -> ColumnElement[bool]:
    return and_(Image.dataset_id == dataset_id, Image.has_truth.is_(True))


def _clear_values(values: Sequence[truth_values.ValueRow]) -> int:
    """Return how many values cover at least 0.5 % of a mask: stray greys at edges do not count."""
    whole = sum(row[1] for row in values)
    return sum(row[1] >= 0.005 * whole for row in values)


def deletion(session: Session, dataset_id: str) -> Deletion | None:
    """Return what is deleted with a dataset, or in `busy` why it cannot be deleted now; None if it does not exist."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        return None
    runs = session.execute(select(Run.id, Run.name).where(Run.dataset_id == dataset_id)).all()
    label_sets = session.execute(select(LabelSet.id, LabelSet.name).where(LabelSet.dataset_id == dataset_id)).all()
    labels = select(func.count()).where(Label.label_set_id.in_([row.id for row in label_sets]))
    predictions = (
        select(func.count())
        .select_from(Prediction)
        .join(PredictionSet, PredictionSet.id == Prediction.prediction_set_id)
        .where((PredictionSet.dataset_id == dataset_id) | PredictionSet.run_id.in_([row.id for row in runs]))
    )
    busy = ""
    try:
        datasets.refuse_if_busy(session, dataset_id)
    except datasets.InUse as error:
        busy = str(error)
    return Deletion(
        name=dataset.name,
        images=dataset.image_count,
        truth=dataset.truth_count,
        label_sets=tuple(row.name for row in label_sets),
        runs=tuple(row.name for row in runs),
        masks=(session.scalar(labels) or 0) + (session.scalar(predictions) or 0),
        busy=busy,
    )


def _job(session: Session, dataset: Dataset, now: datetime, lost_after_s: float) -> JobView | None:
    job = session.get(Job, dataset.job_id) if dataset.job_id else None
    return job_view(job, now, lost_after_s)
