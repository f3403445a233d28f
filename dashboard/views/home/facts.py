"""Data of the Home page: counts for each step, active jobs, and recent runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view, waiting_words
from db import jobs
from db.columns import Base
from db.models import Dataset, Job, JobKind, JobStatus, Label, LabelSet, PredictionSet, Run
from engine.training.run_details import weights_note, weights_origin

RECENT = 5

Step = Literal["images", "labels", "train", "results", "predict"]
_WORK: dict[str, str] = {
    JobKind.IMPORT: "Importing images",
    JobKind.TRUTH: "Importing truth",
    JobKind.MASKS: "Importing masks",
    JobKind.LABEL: "Computing masks",
    JobKind.TRAIN: "Training",
    JobKind.PREDICT: "Predicting",
    JobKind.EXPORT: "Preparing a download",
    JobKind.OBJECTS: "Measuring objects",
}


@dataclass(frozen=True)
class Work:
    """An active job: its task, the name of its object, and the page and URL query that show it.

    `waits` is what a queued one waits for, in words.
    """

    what: str
    name: str
    page: str
    query: dict[str, str]
    job: JobView
    waits: str = ""


@dataclass(frozen=True)
class RecentRun:
    """One recent run. `dice_against` names what the validation images' `best_dice` was measured against.

    `weights` is a text such as "ImageNet weights" if the network was pretrained, else empty.
    """

    id: str
    name: str
    dataset: str
    status: str
    best_dice: float | None
    weights: str
    dice_against: Literal["truth", "pseudo-label"]
    created_at: datetime
    weights_origin: str = ""
    """The file of these weights, for a tooltip."""


@dataclass(frozen=True)
class HomeView:
    """Counts for each step, of what people made, and the next step to take.

    `predictions` are those of images that a network was not trained on, which people asked for.
    """

    datasets: int
    images: int
    truth: int
    label_sets: int
    labelled_images: int
    runs: int
    runs_with_model: int
    predictions: int
    next_step: Step
    work: tuple[Work, ...]
    recent: tuple[RecentRun, ...]

    @property
    def empty(self) -> bool:
        """Whether there is no dataset yet."""
        return self.datasets == 0


def home_view(session: Session, now: datetime, lost_after_s: float) -> HomeView:
    """Return the data of the page at the aware time `now`."""
    datasets, images, truth = session.execute(
        select(func.count(), func.sum(Dataset.image_count), func.sum(Dataset.truth_count)).where(
            Dataset.purpose == "dataset"
        )
    ).one()

    def count(table: type[Base], *wanted: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(table).where(*wanted)) or 0

    label_sets, with_model = count(LabelSet), count(Run, Run.best_epoch.is_not(None))
    return HomeView(
        datasets=datasets,
        images=images or 0,
        truth=truth or 0,
        label_sets=label_sets,
        labelled_images=count(Label),
        runs=count(Run),
        runs_with_model=with_model,
        predictions=session.scalar(_asked_for) or 0,
        next_step=_next_step(images or 0, truth or 0, label_sets, with_model),
        work=active_work(session, now, lost_after_s),
        recent=_recent(session, now, lost_after_s),
    )


_asked_for = (
    select(func.count())
    .select_from(PredictionSet)
    .join(Run, Run.id == PredictionSet.run_id)
    .where(PredictionSet.dataset_id != Run.dataset_id)
)


def _next_step(images: int, truth: int, label_sets: int, with_model: int) -> Step:
    if not images:
        return "images"
    if with_model:
        return "results"
    # A network can be trained on truth as well; both cards can be opened at any time.
    return "train" if label_sets or truth == images else "labels"


def active_work(session: Session, now: datetime, lost_after_s: float) -> tuple[Work, ...]:
    """Return the queued and running jobs that people asked for, oldest first."""
    active = []
    for job in jobs.active(session):
        if job.kind in (JobKind.MEASURE, JobKind.WARM, JobKind.BACKBONE):
            continue  # short, and shown on the page that started them
        view = job_view(job, now, lost_after_s)
        if view is not None:
            name, page, query = _target(session, job)
            waits = waiting_words(session, view.needs) if view.status == "queued" and view.needs else ""
            active.append(Work(_WORK[job.kind], name, page, query, view, waits))
    return tuple(active)


def in_words(session: Session, job: Job) -> str:
    """Return what a job does, such as "Training: Horses"."""
    return f"{_WORK[job.kind]}: {_target(session, job)[0]}" if job.kind in _WORK else "A short job"


def _target(session: Session, job: Job) -> tuple[str, str, dict[str, str]]:
    """Return (name of the job's object, page that shows it, its URL query)."""
    run, dataset, owner = (str(job.payload.get(key, "")) for key in ("run", "dataset", "owner"))
    if job.kind == JobKind.TRAIN or owner == "run":
        return _name(session, Run, run), "views/runs/page.py", {"run": run}
    if job.kind == JobKind.OBJECTS or owner == "measurement":
        return _name(session, Dataset, dataset), "views/measure/page.py", {"measurement": job.payload["measurement"]}
    if owner == "prediction_set":
        return _name(session, Run, run), "views/predict/page.py", {"set": job.payload["prediction_set"]}
    if job.kind == JobKind.PREDICT:
        return _name(session, Run, run), "views/predict/page.py", {"run": run}
    if job.kind in (JobKind.LABEL, JobKind.MASKS, JobKind.EXPORT):
        return _name(session, LabelSet, job.payload.get("label_set")), "views/labels/page.py", {"dataset": dataset}
    return _name(session, Dataset, dataset), "views/datasets/page.py", {"dataset": dataset}


def _name(session: Session, table: type[Dataset | LabelSet | Run], row_id: str | None) -> str:
    return session.scalar(select(table.name).where(table.id == row_id)) or "a deleted object"


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
                weights_origin=weights_origin(run.details),
            )
        )
    return tuple(recent)
