"""What the predict page offers: runs that can predict, images to predict, and the predictions there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view
from db.models import Dataset, ImportEntry, Job, JobStatus, Prediction, PredictionSet, Run
from engine.prediction.refine_masks import Refine
from engine.training.run_details import weights_note


@dataclass(frozen=True)
class RunChoice:
    """A run whose model can be used. `best_dice` is its best validation Dice, against `reference`.

    `weights` is "encoder weights: ImageNet" and the like where it did not begin from nothing, else empty. `flips` and
    `refine` are how it predicts its own images.
    """

    id: str
    name: str
    dataset_name: str
    best_epoch: int
    best_dice: float | None
    reference: str
    weights: str
    flips: bool
    refine: Refine

    @property
    def title(self) -> str:
        if self.best_dice is None:
            return f"{self.name} (epoch {self.best_epoch})"
        note = f" · {self.weights}" if self.weights else ""
        return f"{self.name} (validation Dice {self.best_dice:.3f} vs {self.reference}{note})"


@dataclass(frozen=True)
class TargetChoice:
    """A dataset whose images can be predicted; `own` says that the run learned on it."""

    id: str
    name: str
    images: int
    truth: int
    own: bool


@dataclass(frozen=True)
class Earlier:
    """One set of predictions in the list of earlier ones."""

    id: str
    dataset_id: str
    dataset_name: str
    run_id: str
    run_name: str
    created_at: datetime
    images: int
    predicted: int
    fresh: bool
    status: str


@dataclass(frozen=True)
class SetView:
    """One set of predictions. `predicted` of `images` are done. `weights` as for a `RunChoice`."""

    id: str
    run_id: str
    run_name: str
    weights: str
    dataset_id: str
    dataset_name: str
    truth_version: int
    fresh: bool
    own: bool
    flips: bool
    refine: Refine
    created_at: datetime
    images: int
    predicted: int
    skipped: int
    job: JobView | None


@dataclass(frozen=True)
class Rival:
    """A network that the predictions of one set can be compared with. `set_id` is None where it has not predicted."""

    run_id: str
    name: str
    weights: str
    set_id: str | None
    predicted: int


def usable_runs(session: Session, also: str = "") -> tuple[RunChoice, ...]:
    """Return the runs that have a model, are not training any more and are not put away, newest first.

    Args:
        also: a run to choose from even where it is put away: the address names it.
    """
    query = (
        select(Run, Dataset.name)
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(Job, Job.id == Run.job_id)
        .where(Run.best_epoch.is_not(None), Run.archived.is_(False) | (Run.id == also))
        .where(Job.status.is_(None) | Job.status.not_in([JobStatus.QUEUED, JobStatus.RUNNING]))
        .order_by(Run.created_at.desc())
    )
    return tuple(
        RunChoice(
            id=run.id,
            name=run.name,
            dataset_name=dataset_name,
            best_epoch=run.best_epoch,
            best_dice=run.best_val_dice,
            reference="truth" if run.label_set_id is None else "pseudo-label",
            weights=weights_note(run.details),
            flips=bool(run.config.get("prediction", {}).get("flips", False)),
            refine=run.config.get("prediction", {}).get("refine", "none"),
        )
        for run, dataset_name in session.execute(query)
    )


def targets(session: Session, run_id: str) -> tuple[TargetChoice, ...]:
    """Return the datasets with images, newest first; the run's own comes last, as its gallery shows it already."""
    own = session.get_one(Run, run_id).dataset_id
    rows = session.scalars(select(Dataset).where(Dataset.image_count > 0).order_by(Dataset.created_at.desc()))
    found = [TargetChoice(row.id, row.name, row.image_count, row.truth_count, row.id == own) for row in rows]
    return tuple(sorted(found, key=lambda target: target.own))


def earlier(session: Session, now: datetime, lost_after_s: float) -> tuple[Earlier, ...]:
    """Return the predictions that were asked for here, newest first: all but those of a run on its own dataset."""
    done = select(func.count()).where(Prediction.prediction_set_id == PredictionSet.id).scalar_subquery()
    query = (
        select(PredictionSet, Dataset, Run, Job, done)
        .join(Dataset, Dataset.id == PredictionSet.dataset_id)
        .join(Run, Run.id == PredictionSet.run_id)
        .outerjoin(Job, Job.id == PredictionSet.job_id)
        .where(PredictionSet.dataset_id != Run.dataset_id)
        .order_by(PredictionSet.created_at.desc())
    )
    found = []
    for row, dataset, run, job, predicted in session.execute(query):
        view = job_view(job, now, lost_after_s)
        found.append(
            Earlier(
                id=row.id,
                dataset_id=dataset.id,
                dataset_name=dataset.name,
                run_id=run.id,
                run_name=run.name,
                created_at=row.created_at,
                images=dataset.image_count,
                predicted=predicted,
                fresh=dataset.purpose == "prediction",
                status=view.status if view else "finished",
            )
        )
    return tuple(found)


def uploads_without_predictions(session: Session) -> tuple[TargetChoice, ...]:
    """Return images that were brought only to be predicted and whose run has been deleted since."""
    taken = select(PredictionSet.dataset_id)
    query = select(Dataset).where(Dataset.purpose == "prediction", Dataset.id.not_in(taken))
    rows = session.scalars(query.order_by(Dataset.created_at.desc()))
    return tuple(TargetChoice(row.id, row.name, row.image_count, row.truth_count, False) for row in rows)


def set_view(session: Session, set_id: str | None, now: datetime, lost_after_s: float) -> SetView | None:
    """Return one set of predictions, or None if there is none of that id."""
    found = session.get(PredictionSet, set_id) if set_id else None
    if found is None:
        return None
    run, dataset = session.get_one(Run, found.run_id), session.get_one(Dataset, found.dataset_id)
    skipped = select(func.count()).where(ImportEntry.dataset_id == dataset.id, ImportEntry.taken.is_(False))
    return SetView(
        id=found.id,
        run_id=run.id,
        run_name=run.name,
        weights=weights_note(run.details),
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        truth_version=dataset.truth_version,
        fresh=dataset.purpose == "prediction",
        own=dataset.id == run.dataset_id,
        flips=found.flips,
        refine=found.refine,
        created_at=found.created_at,
        images=dataset.image_count,
        predicted=predicted(session, found.id),
        skipped=session.scalar(skipped) or 0,
        job=job_of(session, found.id, now, lost_after_s),
    )


def predicted(session: Session, set_id: str) -> int:
    """Return how many images of a set have a mask."""
    return session.scalar(select(func.count()).where(Prediction.prediction_set_id == set_id)) or 0


def job_of(session: Session, set_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the job of a set of predictions: one small query, for a page that looks again every second."""
    job = session.scalar(
        select(Job).join(PredictionSet, PredictionSet.job_id == Job.id).where(PredictionSet.id == set_id)
    )
    return job_view(job, now, lost_after_s)


def rivals(session: Session, view: SetView) -> tuple[Rival, ...]:
    """Return the other networks that can be compared with one on its images, those that predicted them first."""
    done = select(func.count()).where(Prediction.prediction_set_id == PredictionSet.id).scalar_subquery()
    query = (
        select(PredictionSet.id, Run, done)
        .join(Run, Run.id == PredictionSet.run_id)
        .where(PredictionSet.dataset_id == view.dataset_id, PredictionSet.run_id != view.run_id)
        .order_by(PredictionSet.created_at.desc())
    )
    found = [
        Rival(run.id, run.name, weights_note(run.details), set_id, count)
        for set_id, run, count in session.execute(query)
    ]
    known = {view.run_id, *(rival.run_id for rival in found)}
    others = [choice for choice in usable_runs(session) if choice.id not in known]
    return tuple(found + [Rival(choice.id, choice.name, choice.weights, None, 0) for choice in others])


def training_runs(session: Session) -> tuple[str, ...]:
    """Return the names of runs that cannot predict yet because they train or wait to, newest first."""
    query = select(Run.name).join(Job, Job.id == Run.job_id)
    at_work = query.where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]))
    return tuple(session.scalars(at_work.order_by(Run.created_at.desc())))


def skipped_files(session: Session, dataset_id: str, limit: int = 5) -> tuple[tuple[str, str], ...]:
    """Return (name, reason) of the first files that were not taken into a dataset."""
    query = select(ImportEntry.name, ImportEntry.reason).where(
        ImportEntry.dataset_id == dataset_id, ImportEntry.taken.is_(False)
    )
    return tuple((name, reason) for name, reason in session.execute(query.order_by(ImportEntry.id).limit(limit)))
