"""What the datasets page shows: the datasets, one dataset's images page by page, its report, and what hangs on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from dashboard.facts import urls
from dashboard.facts.jobs import JobView, job_view
from db import datasets
from db.models import Dataset, Image, ImportEntry, Job, Label, LabelSet, Prediction, PredictionSet, Run

PER_PAGE = 48
THUMBNAILS = 4
TruthFilter = Literal["all", "with truth", "without truth"]


@dataclass(frozen=True)
class Card:
    """One dataset in the list. `thumbnails` are addresses of its first pictures."""

    id: str
    name: str
    images: int
    truth: int
    size_bytes: int
    created_at: datetime
    thumbnails: tuple[str, ...]
    job: JobView | None


@dataclass(frozen=True)
class DatasetView:
    """One dataset. `classes` are names by class index, 0 the background; empty as long as there is no truth."""

    id: str
    name: str
    images: int
    truth: int
    created_at: datetime
    truth_version: int
    classes: tuple[str, ...]
    lookup: tuple[int, ...]
    taken: int
    skipped: int
    job: JobView | None


@dataclass(frozen=True)
class Picture:
    """One image. The addresses of its truth are None where it has none; `truth_colours` has one colour per class."""

    id: str
    name: str
    width_px: int
    height_px: int
    thumbnail: str
    image: str
    truth_small: str | None
    truth: str | None
    truth_colours: str | None


@dataclass(frozen=True)
class PicturePage:
    """The images of one page of the grid; `found` counts those on all pages."""

    pictures: tuple[Picture, ...]
    found: int
    page: int
    pages: int


@dataclass(frozen=True)
class ReportLine:
    """What became of one file of an import."""

    name: str
    taken: bool
    reason: str


@dataclass(frozen=True)
class Deletion:
    """What goes when a dataset is deleted. `masks` counts pseudo-labels and predictions; `busy` says why it cannot."""

    name: str
    images: int
    truth: int
    label_sets: tuple[str, ...]
    runs: tuple[str, ...]
    masks: int
    busy: str


def proposed_name(files: Sequence[str]) -> str:
    """Return a name for uploaded files: the zip's, the folder's they all lie in, or the only file's; else ""."""
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
    """Return the datasets, newest first. `size_bytes` tells what the files of a dataset take up."""
    found = []
    for dataset in datasets.listing(session):
        first = datasets.images(session, dataset.id, limit=THUMBNAILS)
        found.append(
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
    return tuple(found)


def dataset_view(session: Session, dataset_id: str | None, now: datetime, lost_after_s: float) -> DatasetView | None:
    """Return one dataset, or None if there is none of that id."""
    dataset = session.get(Dataset, dataset_id) if dataset_id else None
    if dataset is None:
        return None
    entries = select(ImportEntry.taken, func.count()).where(ImportEntry.dataset_id == dataset.id)
    counts = dict(session.execute(entries.group_by(ImportEntry.taken)).all())
    return DatasetView(
        id=dataset.id,
        name=dataset.name,
        images=dataset.image_count,
        truth=dataset.truth_count,
        created_at=dataset.created_at,
        truth_version=dataset.truth_version,
        classes=tuple(entry["name"] for entry in dataset.classes),
        lookup=tuple(dataset.lookup),
        taken=counts.get(True, 0),
        skipped=counts.get(False, 0),
        job=_job(session, dataset, now, lost_after_s),
    )


def job_of(session: Session, dataset_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the latest import job of a dataset: one small query, for a page that looks again every second."""
    dataset = session.get(Dataset, dataset_id)
    return _job(session, dataset, now, lost_after_s) if dataset is not None else None


def count_pictures(session: Session, dataset_id: str, search: str = "", truth: TruthFilter = "all") -> int:
    """Return how many images have `search` in their name and pass the filter."""
    return session.scalar(select(func.count()).select_from(Image).where(*_wanted(dataset_id, search, truth))) or 0


def picture_page(
    session: Session,
    dataset_id: str,
    page: int = 1,
    search: str = "",
    truth: TruthFilter = "all",
    per_page: int = PER_PAGE,
) -> PicturePage:
    """Return a page of images whose name contains `search`, whatever the case; a page too far gives the last one."""
    found = count_pictures(session, dataset_id, search, truth)
    pages = max(1, -(-found // per_page))
    page = min(max(page, 1), pages)
    query = select(Image).where(*_wanted(dataset_id, search, truth)).order_by(Image.position, Image.id)
    rows = session.scalars(query.limit(per_page).offset((page - 1) * per_page))
    version = session.get_one(Dataset, dataset_id).truth_version
    return PicturePage(tuple(_picture(image, version) for image in rows), found, page, pages)


def _wanted(dataset_id: str, search: str, truth: TruthFilter) -> list[ColumnElement[bool]]:
    wanted = [Image.dataset_id == dataset_id]
    if search.strip():
        wanted.append(Image.name.icontains(search.strip(), autoescape=True))
    if truth != "all":
        wanted.append(Image.has_truth.is_(truth == "with truth"))
    return wanted


def _picture(image: Image, version: int) -> Picture:
    dataset_id, known = image.dataset_id, image.has_truth
    return Picture(
        id=image.id,
        name=image.name,
        width_px=image.width,
        height_px=image.height,
        thumbnail=urls.thumbnail(dataset_id, image.id),
        image=urls.image(dataset_id, image.id),
        truth_small=urls.truth(dataset_id, image.id, 192, version=version) if known else None,
        truth=urls.truth(dataset_id, image.id, version=version) if known else None,
        truth_colours=urls.truth(dataset_id, image.id, colour=True, version=version) if known else None,
    )


def picture(session: Session, dataset_id: str, image_id: str | None) -> Picture | None:
    """Return one image of a dataset, or None if it has none of that id."""
    found = session.get(Image, image_id) if image_id else None
    if found is None or found.dataset_id != dataset_id:
        return None
    return _picture(found, session.get_one(Dataset, dataset_id).truth_version)


def report_lines(session: Session, dataset_id: str) -> tuple[ReportLine, ...]:
    """Return what became of every file of all imports into a dataset, skipped files first."""
    return tuple(ReportLine(entry.name, entry.taken, entry.reason) for entry in datasets.report(session, dataset_id))


def truth_counts(session: Session, dataset_id: str) -> np.ndarray:
    """Return how many pixels of all truth masks have each grey value: int64 (256,)."""
    counts = np.zeros(256, np.int64)
    for values in session.scalars(select(Image.truth_values).where(_of_truth(dataset_id))):
        for value, pixels in values:
            counts[value] += pixels
    return counts


def example_images(session: Session, dataset_id: str, count: int = 3) -> tuple[tuple[str, str], ...]:
    """Return (id, name) of up to `count` images with truth, those with the most different truth values first."""
    query = select(Image.id, Image.name, Image.truth_values).where(_of_truth(dataset_id))
    rows = session.execute(query.order_by(Image.position, Image.id)).all()
    rows.sort(key=lambda row: _clear_values(row.truth_values), reverse=True)
    return tuple((row.id, row.name) for row in rows[:count])


def _of_truth(dataset_id: str) -> ColumnElement[bool]:
    return and_(Image.dataset_id == dataset_id, Image.has_truth.is_(True))


def _clear_values(values: Sequence[tuple[int, int]]) -> int:
    """Return how many values cover a good part of a mask: stray greys at edges make no example better."""
    whole = sum(pixels for _, pixels in values)
    return sum(pixels >= 0.005 * whole for _, pixels in values)


def deletion(session: Session, dataset_id: str) -> Deletion | None:
    """Return what would go with a dataset, or in `busy` why it cannot be deleted now; None if it is gone already."""
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
    return Deletion(
        name=dataset.name,
        images=dataset.image_count,
        truth=dataset.truth_count,
        label_sets=tuple(row.name for row in label_sets),
        runs=tuple(row.name for row in runs),
        masks=(session.scalar(labels) or 0) + (session.scalar(predictions) or 0),
        busy=_why_busy(session, dataset_id),
    )


def _why_busy(session: Session, dataset_id: str) -> str:
    try:
        datasets.refuse_if_busy(session, dataset_id)
    except datasets.InUse as error:
        return str(error)
    return ""


def _job(session: Session, dataset: Dataset, now: datetime, lost_after_s: float) -> JobView | None:
    job = session.get(Job, dataset.job_id) if dataset.job_id else None
    return job_view(job, now, lost_after_s)
