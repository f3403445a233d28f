"""What the home page shows: how far along the path one is, what is being worked on, and the machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view
from db import jobs
from db.models import Dataset, Job, JobKind, JobStatus, Label, LabelSet, PredictionSet, Run
from engine.training.run_details import weights_note

SAMPLE_NAME = "Sample scenes"
RECENT = 5

Step = Literal["images", "labels", "train", "results"]
_WORK = {
    JobKind.IMPORT: "Importing images",
    JobKind.LABEL: "Drawing labels",
    JobKind.TRAIN: "Training",
    JobKind.PREDICT: "Predicting",
    JobKind.EXPORT: "Preparing a download",
}


@dataclass(frozen=True)
class Work:
    """A job that waits or runs: what it does, to what, and the page and address query that follow it."""

    what: str
    name: str
    page: str
    query: dict[str, str]
    job: JobView


@dataclass(frozen=True)
class RecentRun:
    """One recent run. `dice_against` names what the validation images' `best_dice` was measured against.

    `weights` is "encoder weights: ImageNet" and the like where the network did not begin from nothing, else empty.
    """

    id: str
    name: str
    dataset: str
    status: str
    best_dice: float | None
    weights: str
    dice_against: Literal["truth", "pseudo-label"]
    created_at: datetime


@dataclass(frozen=True)
class HomeView:
    """Counts for each step of the path, and the step to take next."""

    datasets: int
    images: int
    truth: int
    label_sets: int
    labelled_images: int
    runs: int
    runs_with_model: int
    prediction_sets: int
    next_step: Step
    work: tuple[Work, ...]
    recent: tuple[RecentRun, ...]

    @property
    def empty(self) -> bool:
        return self.datasets == 0


def home_view(session: Session, now: datetime, lost_after_s: float) -> HomeView:
    """Return what the home page shows at the aware moment `now`."""
    datasets, images, truth = session.execute(
        select(func.count(), func.sum(Dataset.image_count), func.sum(Dataset.truth_count)).where(
            Dataset.purpose == "dataset"
        )
    ).one()
    label_sets = _count(session, LabelSet.id)
    with_model = session.scalar(select(func.count()).where(Run.best_epoch.is_not(None)))
    return HomeView(
        datasets=datasets,
        images=images or 0,
        truth=truth or 0,
        label_sets=label_sets,
        labelled_images=_count(session, Label.image_id),
        runs=_count(session, Run.id),
        runs_with_model=with_model,
        prediction_sets=_count(session, PredictionSet.id),
        next_step=_next_step(images or 0, truth or 0, label_sets, with_model),
        work=_work(session, now, lost_after_s),
        recent=_recent(session, now, lost_after_s),
    )


def _count(session: Session, column: object) -> int:
    return session.scalar(select(func.count(column)))


def _next_step(images: int, truth: int, label_sets: int, with_model: int) -> Step:
    if not images:
        return "images"
    if with_model:
        return "results"
    # Truth masks can teach as well, but labels are what this is for; both cards can be opened at any time.
    return "train" if label_sets or truth == images else "labels"


def _work(session: Session, now: datetime, lost_after_s: float) -> tuple[Work, ...]:
    found = []
    for job in jobs.active(session):
        if job.kind in (JobKind.MEASURE, JobKind.WARM):
            continue  # over in a minute, and shown where it was asked for; getting ready is nobody's work
        view = job_view(job, now, lost_after_s)
        if view is not None:
            name, page, query = _target(session, job)
            found.append(Work(_WORK[job.kind], name, page, query, view))
    return tuple(found)


def _target(session: Session, job: Job) -> tuple[str, str, dict[str, str]]:
    """Return (name of what is worked on, page that follows it, its address query)."""
    run, dataset = job.payload.get("run"), job.payload.get("dataset")
    if job.kind == JobKind.TRAIN:
        return _name(session, Run, run), "views/runs/page.py", {"run": run}
    if job.kind == JobKind.PREDICT:
        return _name(session, Run, run), "views/predict/page.py", {"run": run}
    if job.kind == JobKind.EXPORT and job.payload["owner"] == "prediction_set":
        return _name(session, Run, run), "views/predict/page.py", {"set": job.payload["prediction_set"]}
    if job.kind == JobKind.EXPORT and job.payload["owner"] == "run":
        return _name(session, Run, run), "views/runs/page.py", {"run": run}
    if job.kind in (JobKind.LABEL, JobKind.EXPORT):
        return _name(session, LabelSet, job.payload.get("label_set")), "views/labels/page.py", {"dataset": dataset}
    return _name(session, Dataset, dataset), "views/datasets/page.py", {"dataset": dataset}


def _name(session: Session, table: type, row_id: str | None) -> str:
    row = session.get(table, row_id) if row_id else None
    return row.name if row is not None else "something that was deleted"


def _recent(session: Session, now: datetime, lost_after_s: float) -> tuple[RecentRun, ...]:
    rows = session.execute(
        select(Run, Dataset.name, Job)
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(Job, Job.id == Run.job_id)
        .where(Run.archived.is_(False))
        .order_by(Run.created_at.desc(), Run.id)
        .limit(RECENT)
    )
    recent = []
    for run, dataset, job in rows:
        view = job_view(job, now, lost_after_s)
        recent.append(
            RecentRun(
                id=run.id,
                name=run.name,
                dataset=dataset,
                status=view.status if view else JobStatus.FINISHED.value,
                best_dice=run.best_val_dice,
                weights=weights_note(run.details),
                dice_against="pseudo-label" if run.label_set_id else "truth",
                created_at=run.created_at,
            )
        )
    return tuple(recent)
