"""The predictions of one run on one dataset, as galleries and comparisons read them.

A score at any mask threshold is computed from the stored counts, not read from a column, so whole sets are read here,
once, and cached by `stamp`. Ordering by score and counting successes then happens on arrays in memory
(`dashboard.facts.scores`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, exists, func, select
from sqlalchemy.orm import Session

from db.models import Dataset, Image, Job, Label, Prediction, PredictionSet, Run

ROWS_AT_ONCE = 2000


def title(session: Session, prediction_set_id: str) -> str:
    """Return the display name of a set of predictions: its run and its dataset."""
    found = session.get_one(PredictionSet, prediction_set_id)
    run, dataset = session.get_one(Run, found.run_id), session.get_one(Dataset, found.dataset_id)
    return f"{run.name} on {dataset.name}"


def rows(session: Session, prediction_set_id: str) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
    """Yield every predicted image in the dataset's order, up to `ROWS_AT_ONCE` at a time: (image_id, name,
    content_hash, width, height, split, area, uncertainty, flip_agreement, label_counts, truth_counts, truth_confusion,
    teacher_dice).

    `area` is the foreground's share at threshold 0.5, `teacher_dice` the Dice of the run's pseudo-label against truth.
    """
    query = (
        select(
            Prediction.image_id,
            Image.name,
            Image.content_hash,
            Image.width,
            Image.height,
            Prediction.split,
            Prediction.area,
            Prediction.uncertainty,
            Prediction.flip_agreement,
            Prediction.label_counts,
            Prediction.truth_counts,
            Prediction.truth_confusion,
            Label.dice.label("teacher_dice"),
        )
        .join(Image, Image.id == Prediction.image_id)
        .join(PredictionSet, PredictionSet.id == Prediction.prediction_set_id)
        .join(Run, Run.id == PredictionSet.run_id)
        .outerjoin(Label, (Label.label_set_id == Run.label_set_id) & (Label.image_id == Prediction.image_id))
        .where(Prediction.prediction_set_id == prediction_set_id)
        .order_by(Image.position, Image.id)
    )
    yield from session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}).partitions()


def class_names(session: Session, prediction_set_id: str) -> tuple[str, ...]:
    """Return the classes that the run of a set tells apart, background first; none if it knows foreground alone."""
    query = select(Run.classes).join(PredictionSet, PredictionSet.run_id == Run.id)
    found = session.scalar(query.where(PredictionSet.id == prediction_set_id))
    return tuple(str(entry["name"]) for entry in found or ())


def stamp(session: Session, prediction_set_id: str) -> str:
    """Return a text that changes whenever predictions are added, removed or scored again.

    The version of the truth is part of it: another one may have the same foreground and other classes.
    Both sums are answered from the score indexes alone, so this costs a millisecond where `rows` reads megabytes.
    """
    found = session.get(PredictionSet, prediction_set_id)
    parts: list[Any] = []
    if found:
        truth_version = session.get_one(Dataset, found.dataset_id).truth_version
        parts = [found.job_id, found.flips, found.refine, truth_version]
    for column in (Prediction.label_dice, Prediction.truth_dice):
        query = select(func.count(), func.count(column), func.sum(column))
        parts += session.execute(query.where(Prediction.prediction_set_id == prediction_set_id)).one()
    return "/".join(map(repr, parts))


def own_sets(session: Session, run_ids: Iterable[str] | None = None) -> dict[str, tuple[PredictionSet, int]]:
    """Return {run id: (its predictions on its own dataset, how many)}; sets without a prediction are left out."""
    # Counted set by set from an index: joined and grouped, ten thousand rows are sorted first.
    count = select(func.count()).where(Prediction.prediction_set_id == PredictionSet.id).scalar_subquery()
    query = select(PredictionSet, count).join(
        Run, (Run.id == PredictionSet.run_id) & (Run.dataset_id == PredictionSet.dataset_id)
    )
    if run_ids is not None:
        query = query.where(Run.id.in_(list(run_ids)))
    return {found.run_id: (found, count) for found, count in session.execute(query) if count}


def with_masks(session: Session, run_ids: Iterable[str] | None = None) -> dict[str, str]:
    """Return {run id: the id of its predictions on its own dataset} of the runs that have any. Counts none of them."""
    query = (
        select(PredictionSet.run_id, PredictionSet.id)
        .join(Run, (Run.id == PredictionSet.run_id) & (Run.dataset_id == PredictionSet.dataset_id))
        .where(exists().where(Prediction.prediction_set_id == PredictionSet.id))
    )
    if run_ids is not None:
        query = query.where(PredictionSet.run_id.in_(list(run_ids)))
    return dict(session.execute(query).all())


def job_at_work(session: Session, run: Run) -> Job | None:
    """Return the queued or running job that predicts a run's own dataset, or trains the run, if there is one."""
    set_job = select(PredictionSet.job_id).where(
        PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id
    )
    ids = {run.job_id, session.scalar(set_job)} - {None}
    jobs = [job for job in (session.get(Job, id_) for id_ in ids) if job is not None and not job.status.ended]
    return min(jobs, key=lambda job: job.created_at, default=None)


def confusions(session: Session, prediction_set_id: str) -> list[Row[Any]]:
    """Return (image_id, name, split, truth_confusion) of the images that have one, in the dataset's order."""
    query = (
        select(Prediction.image_id, Image.name, Prediction.split, Prediction.truth_confusion)
        .join(Image, Image.id == Prediction.image_id)
        .where(Prediction.prediction_set_id == prediction_set_id, Prediction.truth_confusion.is_not(None))
        .order_by(Image.position, Image.id)
    )
    return list(session.execute(query))
