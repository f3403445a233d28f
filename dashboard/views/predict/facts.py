"""What the Predict page offers: runs that can predict, images to predict, and the prediction sets so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view
from db import names, rounds, runs
from db.models import Dataset, ImportEntry, Job, JobStatus, Prediction, PredictionSet, Run
from engine.core.run_parameters import PredictionParams
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.training.run_details import weights_note

SKIPPED_NAMED = 5


@dataclass(frozen=True)
class RunChoice:
    """A run whose model can be used. `best_dice` is its best validation soft Dice, against `reference`.

    `weights` is like "ImageNet weights" for a pretrained network, else empty. `prediction` is how the run
    predicts its own images.
    """

    id: str
    name: str
    dataset_id: str
    dataset_name: str
    best_epoch: int | None
    best_dice: float | None
    reference: str
    weights: str
    prediction: PredictionParams

    @property
    def title(self) -> str:
        if self.best_dice is None:
            return f"{self.name} (epoch {self.best_epoch})"
        note = f" · {self.weights}" if self.weights else ""
        return f"{self.name} (validation soft Dice {self.best_dice:.3f} vs {self.reference}{note})"


@dataclass(frozen=True)
class SetView:
    """A prediction set: `predicted` of `images` images of a dataset have a mask. `weights` as for a `RunChoice`.

    `fresh` is whether the images were imported only to be predicted, `own` whether the run was trained on them.
    `classes` are the names of the classes that the run tells apart, background first, or empty; `truth_in_classes` is
    whether truth has them, too, as for `runs.truth_in_classes`.
    """

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
    refine: str
    label_share: float
    created_at: datetime
    images: int
    predicted: int
    job: JobView | None
    classes: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    truth_in_classes: runs.TruthClasses | None = None
    class_identities: tuple[runs.ClassIdentity, ...] = ()

    @property
    def at_work(self) -> bool:
        return self.job is not None and self.job.at_work

    def has_classes_of(self, other: SetView) -> bool:
        """Whether its class numbers mean the same as those of another set."""
        return self.class_identities == other.class_identities


def usable_runs(session: Session, also: str = "") -> tuple[RunChoice, ...]:
    """Return the runs that have a model, do not train any more and are not archived, newest first.

    Args:
        also: the id of a run to include even if it is archived, because the URL names it.
    """
    query = (
        select(Run, Dataset.name)
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(Job, Job.id == Run.job_id)
        .where(Run.best_epoch.is_not(None), Run.archived.is_(False) | (Run.id == also))
        .where(Job.status.is_(None) | Job.status.not_in([JobStatus.QUEUED, JobStatus.RUNNING]))
        .order_by(Run.created_at.desc())
    )
    return tuple(_choice(run, dataset_name) for run, dataset_name in session.execute(query))


def _choice(run: Run, dataset_name: str) -> RunChoice:
    own = run.config.get("prediction", {})  # runs of the first version lack it, and predicted without flips
    return RunChoice(
        id=run.id,
        name=run.name,
        dataset_id=run.dataset_id,
        dataset_name=dataset_name,
        best_epoch=run.best_epoch,
        best_dice=run.best_val_dice,
        reference="truth" if run.label_set_id is None else "pseudo-label",
        weights=weights_note(run.details),
        prediction=PredictionParams(flips=own.get("flips", False), refine=own.get("refine", "none")),
    )


def training_runs(session: Session) -> tuple[str, ...]:
    """Return the names of runs that cannot predict yet because their training is queued or running, newest first."""
    query = select(Run.name).join(Job, Job.id == Run.job_id).order_by(Run.created_at.desc())
    return tuple(session.scalars(query.where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]))))


def targets(session: Session, own_dataset_id: str) -> tuple[Dataset, ...]:
    """Return the datasets with images, newest first; the run's own comes last, because its gallery shows it already."""
    query = select(Dataset).where(Dataset.image_count > 0).order_by(Dataset.created_at.desc())
    return tuple(sorted(session.scalars(query), key=lambda dataset: dataset.id == own_dataset_id))


def proposed_name(session: Session, name: str, files: Sequence[str]) -> str:
    """Return a free name for new images: "New images · Trip", or "New images · a + 7 more" for files without a name."""
    more = f" + {len(files) - 1} more" if not name and len(files) > 1 else ""
    what = name or (PurePosixPath(files[0]).stem if files else "")
    return names.counted_name(session, Dataset, names.default_name("New images", what) + more)


def uploads_without_predictions(session: Session) -> tuple[Dataset, ...]:
    """Return the datasets that were imported only to be predicted and whose run has been deleted, newest first."""
    query = select(Dataset).where(Dataset.purpose == "prediction", Dataset.id.not_in(select(PredictionSet.dataset_id)))
    return tuple(session.scalars(query.order_by(Dataset.created_at.desc())))


def earlier(session: Session, now: datetime, lost_after_s: float) -> tuple[SetView, ...]:
    """Return the prediction sets, newest first, without those of a run on its own dataset."""
    return _set_views(session, now, lost_after_s, PredictionSet.dataset_id != Run.dataset_id)


def set_view(session: Session, set_id: str | None, now: datetime, lost_after_s: float) -> SetView | None:
    """Return one prediction set, or None if it does not exist."""
    return next(iter(_set_views(session, now, lost_after_s, PredictionSet.id == set_id)), None)


def rivals(session: Session, view: SetView, now: datetime, lost_after_s: float) -> tuple[SetView, ...]:
    """Return the prediction sets of other runs on the same images, newest first."""
    others = (PredictionSet.dataset_id == view.dataset_id) & (PredictionSet.run_id != view.run_id)
    return _set_views(session, now, lost_after_s, others)


def _set_views(
    session: Session, now: datetime, lost_after_s: float, wanted: ColumnElement[bool]
) -> tuple[SetView, ...]:
    predicted = select(func.count()).where(Prediction.prediction_set_id == PredictionSet.id).scalar_subquery()
    query = (
        select(PredictionSet, Dataset, Run, Job, predicted)
        .join(Dataset, Dataset.id == PredictionSet.dataset_id)
        .join(Run, Run.id == PredictionSet.run_id)
        .outerjoin(Job, Job.id == PredictionSet.job_id)
        .where(wanted)
        .order_by(PredictionSet.created_at.desc())
    )
    return tuple(
        SetView(
            id=row.id,
            run_id=run.id,
            run_name=run.name,
            weights=weights_note(run.details),
            dataset_id=dataset.id,
            dataset_name=dataset.name,
            truth_version=dataset.truth_version,
            fresh=dataset.purpose == "prediction",
            own=dataset.id == run.dataset_id,
            flips=row.flips,
            refine=row.refine,
            label_share=rounds.label_share(run) if dataset.id == run.dataset_id else 0.0,
            created_at=row.created_at,
            images=dataset.image_count,
            predicted=count,
            job=job_view(job, now, lost_after_s),
            classes=tuple(str(entry["name"]) for entry in run.classes),
            class_colours=_colours(session, run),
            truth_in_classes=runs.truth_in_classes(session, run, dataset),
            class_identities=runs.class_identities(run.classes),
        )
        for row, dataset, run, job, count in session.execute(query)
    )


def _colours(session: Session, run: Run) -> tuple[str, ...]:
    own = session.get_one(Dataset, run.dataset_id)
    return tuple(class_colours(with_present_colours(run.classes, own.classes)))


def skipped_files(session: Session, dataset_id: str) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return how many files an import skipped, and (name, reason) of the first of them."""
    skipped = (ImportEntry.dataset_id == dataset_id, ImportEntry.taken.is_(False))
    count = session.scalar(select(func.count()).where(*skipped)) or 0
    first = select(ImportEntry.name, ImportEntry.reason).where(*skipped).order_by(ImportEntry.id).limit(SKIPPED_NAMED)
    return count, tuple((name, reason) for name, reason in session.execute(first))
