"""Runs, their metrics, and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.orm import Session

from db.datasets import InUse, delete_dataset
from db.exports import refuse_while_exported
from db.models import Dataset, Image, Job, JobStatus, Metric, Prediction, PredictionSet, Run, RunImage
from db.names import checked_name


def create(
    session: Session,
    dataset: Dataset,
    label_set_id: str | None,
    name: str,
    preset: str,
    config: dict[str, Any],
    code_version: str,
) -> Run:
    """Add a run that a train job will fill. `label_set_id` None means that truth teaches it.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    run = Run(
        dataset_id=dataset.id,
        label_set_id=label_set_id,
        name=checked_name(session, Run, name),
        preset=preset,
        config=config,
        lookup=list(dataset.lookup),
        code_version=code_version,
        dataset_fingerprint=dataset.fingerprint,
    )
    session.add(run)
    session.flush()
    return run


def listing(session: Session, dataset_id: str | None = None) -> list[Run]:
    """Return runs, newest first."""
    query = select(Run).order_by(Run.created_at.desc())
    return list(session.scalars(query.where(Run.dataset_id == dataset_id) if dataset_id else query))


def set_split(session: Session, run_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Store {image_id, split, probe} of every image of a run, in place of what was stored."""
    session.execute(delete(RunImage).where(RunImage.run_id == run_id))
    session.add_all(RunImage(run_id=run_id, **values) for values in rows)


def split(session: Session, run_id: str) -> list[RunImage]:
    return list(session.scalars(select(RunImage).where(RunImage.run_id == run_id)))


def probe_images(session: Session, run_id: str) -> list[tuple[Image, str]]:
    """Return [(image, split)] of a run's probe images, validation first."""
    query = (
        select(Image, RunImage.split)
        .join(RunImage, RunImage.image_id == Image.id)
        .where(RunImage.run_id == run_id, RunImage.probe.is_(True))
        .order_by(RunImage.split.desc(), Image.position)
    )
    return [(image, side) for image, side in session.execute(query)]


def save_metrics(session: Session, run_id: str, epoch: int, values: dict[str, float]) -> None:
    """Store one epoch's numbers; an epoch that is repeated after a resume replaces what it wrote before."""
    for name, value in values.items():
        session.merge(Metric(run_id=run_id, epoch=epoch, name=name, value=value))


def metrics(session: Session, run_id: str, after_epoch: int = 0) -> list[Metric]:
    """Return the metric rows of the epochs after `after_epoch`, by epoch and name."""
    query = select(Metric).where(Metric.run_id == run_id, Metric.epoch > after_epoch)
    return list(session.scalars(query.order_by(Metric.epoch, Metric.name)))


def drop_metrics_after(session: Session, run_id: str, epoch: int) -> None:
    """Forget the epochs after `epoch`: a resumed run goes on from its last checkpoint and will repeat them."""
    session.execute(delete(Metric).where(Metric.run_id == run_id, Metric.epoch > epoch))


def update_run(session: Session, run_id: str, **values: Any) -> None:
    run = session.get_one(Run, run_id)
    for name, value in values.items():
        setattr(run, name, value)


def ensure_prediction_set(
    session: Session, run_id: str, dataset_id: str, job_id: str | None, flips: bool, refine: str = "none"
) -> str:
    """Return the id of the set of a run's predictions on a dataset, made if need be. There is one per pair."""
    found = session.scalar(
        select(PredictionSet).where(PredictionSet.run_id == run_id, PredictionSet.dataset_id == dataset_id)
    )
    if found is None:
        found = PredictionSet(run_id=run_id, dataset_id=dataset_id, job_id=job_id, flips=flips, refine=refine)
        session.add(found)
        session.flush()
    elif job_id is not None:
        found.job_id, found.flips, found.refine = job_id, flips, refine
    return found.id


def own_prediction_set(session: Session, run: Run) -> PredictionSet | None:
    """Return the predictions of a run on the dataset that taught it."""
    return session.scalar(
        select(PredictionSet).where(PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id)
    )


def validation_scores(session: Session, run: Run) -> Row[Any] | None:
    """Return (images, truth_dice, truth_iou, truth_images, label_dice) of a run's masks of its own validation images.

    The means are per image at threshold 0.5; `truth_*` over the `truth_images` that have truth, `label_dice` is
    agreement with the pseudo-label. None while there are no such masks.
    """
    own = own_prediction_set(session, run)
    if own is None:
        return None
    found = session.execute(
        select(
            func.count().label("images"),
            func.avg(Prediction.truth_dice).label("truth_dice"),
            func.avg(Prediction.truth_iou).label("truth_iou"),
            func.count(Prediction.truth_dice).label("truth_images"),
            func.avg(Prediction.label_dice).label("label_dice"),
        ).where(Prediction.prediction_set_id == own.id, Prediction.split == "validation")
    ).one()
    return found if found.images else None


def prediction_sets(session: Session, run_id: str) -> list[PredictionSet]:
    query = select(PredictionSet).where(PredictionSet.run_id == run_id).order_by(PredictionSet.created_at.desc())
    return list(session.scalars(query))


def predicted_images(session: Session, prediction_set_id: str) -> set[str]:
    return set(session.scalars(select(Prediction.image_id).where(Prediction.prediction_set_id == prediction_set_id)))


def predictions(session: Session, prediction_set_id: str) -> list[Prediction]:
    return list(session.scalars(select(Prediction).where(Prediction.prediction_set_id == prediction_set_id)))


def clear_predictions(session: Session, prediction_set_id: str) -> None:
    """Forget the predictions of a set: its model has learned more since."""
    session.execute(delete(Prediction).where(Prediction.prediction_set_id == prediction_set_id))


def add_predictions(session: Session, prediction_set_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add or replace predictions (see `db.models.Prediction`). Their files are stored already."""
    for values in rows:
        session.merge(Prediction(prediction_set_id=prediction_set_id, **values))


def prediction_count(session: Session, prediction_set_id: str) -> int:
    return session.scalar(select(func.count()).where(Prediction.prediction_set_id == prediction_set_id))


def delete_run(session: Session, run_id: str) -> list[tuple[str, str]]:
    """Delete a run with its metrics and predictions; return [(kind of folder, id)] of files to remove afterwards.

    Raises:
        InUse: a job is working on it.
    """
    jobs = session.scalars(select(Job).where(Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING])))
    if any(job.payload.get("run") == run_id for job in jobs):
        raise InUse("The run is in use by a job. Stop it or wait for it to end, then try again.")
    sets = list(session.scalars(select(PredictionSet.id).where(PredictionSet.run_id == run_id)))
    session.execute(delete(PredictionSet).where(PredictionSet.id.in_(sets)))
    session.execute(delete(Run).where(Run.id == run_id))
    return [("run", run_id), *(("prediction", id_) for id_ in sets)]


def delete_prediction_set(session: Session, prediction_set_id: str) -> list[tuple[str, str]]:
    """Delete predictions; return [(kind of folder, id)] of files to remove afterwards.

    Images that were brought only to be predicted go too, once no other predictions of them are left.

    Raises:
        InUse: a job is at work on them.
    """
    refuse_while_exported(session, "prediction_set", prediction_set_id)
    found = session.get_one(PredictionSet, prediction_set_id)
    job = session.get(Job, found.job_id) if found.job_id else None
    if job is not None and not job.status.ended:
        raise InUse("The predictions are being made. Stop that first, then try again.")
    dataset = session.get_one(Dataset, found.dataset_id)
    session.execute(delete(PredictionSet).where(PredictionSet.id == prediction_set_id))
    others = session.scalar(select(func.count()).where(PredictionSet.dataset_id == dataset.id))
    if dataset.purpose != "prediction" or others:
        return [("prediction", prediction_set_id)]
    return [("prediction", prediction_set_id), *delete_dataset(session, dataset.id)]
