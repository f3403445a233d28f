"""The predictions of one run on one dataset, as galleries and comparisons read them.

A score at any mask threshold comes out of the stored counts, not out of a column, so what is read here is whole sets,
once; a cache keyed by `stamp` keeps them. Ordering by score and counting successes then happens on arrays in memory
(`dashboard.viewmodels.scores`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from db.models import Image, Job, Prediction, PredictionSet, Run


def rows(session: Session, prediction_set_id: str) -> Sequence[Row[Any]]:
    """Return (image_id, name, content_hash, width, height, has_truth, split, area, uncertainty, label_counts,
    truth_counts) of every predicted image, in the dataset's order. `area` is the foreground's share at threshold 0.5.
    """
    return session.execute(
        select(
            Prediction.image_id,
            Image.name,
            Image.content_hash,
            Image.width,
            Image.height,
            Image.has_truth,
            Prediction.split,
            Prediction.area,
            Prediction.uncertainty,
            Prediction.label_counts,
            Prediction.truth_counts,
        )
        .join(Image, Image.id == Prediction.image_id)
        .where(Prediction.prediction_set_id == prediction_set_id)
        .order_by(Image.position, Image.id)
    ).all()


def stamp(session: Session, prediction_set_id: str) -> str:
    """Return a text that changes whenever predictions are added, removed or scored anew.

    Both sums are answered from the score indexes alone, so this costs a millisecond where `rows` reads megabytes.
    """
    found = session.get(PredictionSet, prediction_set_id)
    parts: list[Any] = [found.job_id, found.flips, found.refine] if found else []
    for column in (Prediction.label_dice, Prediction.truth_dice):
        query = select(func.count(), func.count(column), func.sum(column))
        parts += session.execute(query.where(Prediction.prediction_set_id == prediction_set_id)).one()
    return "/".join(map(repr, parts))


def own_sets(session: Session, run_ids: Iterable[str] | None = None) -> dict[str, tuple[PredictionSet, int]]:
    """Return {run id: (its predictions on its own dataset, how many)}; sets without a prediction are left out."""
    query = (
        select(PredictionSet, func.count())
        .join(Run, (Run.id == PredictionSet.run_id) & (Run.dataset_id == PredictionSet.dataset_id))
        .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)
        .group_by(PredictionSet.id)
    )
    if run_ids is not None:
        query = query.where(Run.id.in_(list(run_ids)))
    return {found.run_id: (found, count) for found, count in session.execute(query)}


def job_at_work(session: Session, run: Run) -> Job | None:
    """Return the queued or running job that predicts a run's own dataset, or trains the run, if there is one."""
    set_job = select(PredictionSet.job_id).where(
        PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id
    )
    ids = {run.job_id, session.scalar(set_job)} - {None}
    jobs = [job for job in (session.get(Job, id_) for id_ in ids) if job is not None and not job.status.ended]
    return min(jobs, key=lambda job: job.created_at, default=None)
