"""The stored label sets of a dataset: what drew them, how good they are, what they taught."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.facts.auto_choice import AutoChoice, auto_choice
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.recipes import Recipe, describe_changes, known_recipe
from db import jobs, recipes
from db.models import LabelSet, Run


@dataclass(frozen=True)
class LabelSetCard:
    """A stored label set. Dice and IoU are means against truth at threshold 0.5; `runs` learned from it.

    Quality is label-free, in [0, 1]; None where it was not computed. `unclear` counts images without clear foreground,
    `dropped` those that a person keeps from training. `choice` is what the automatic method chose, and why.
    """

    id: str
    name: str
    recipe: Recipe | None
    method_title: str
    changes: str
    images: int
    area: float | None
    dice: float | None
    iou: float | None
    quality: float | None
    unclear: int
    dropped: int
    choice: AutoChoice | None
    created_at: datetime
    runs: tuple[str, ...]
    job: JobView | None


def label_set_cards(session: Session, dataset_id: str, now: datetime, lost_after_s: float) -> tuple[LabelSetCard, ...]:
    """Return the label sets of a dataset, newest first."""
    return tuple(_card(session, label_set, now, lost_after_s) for label_set in recipes.listing(session, dataset_id))


def _card(session: Session, label_set: LabelSet, now: datetime, lost_after_s: float) -> LabelSetCard:
    summary = recipes.summary(session, label_set.id)
    runs = session.scalars(select(Run.name).where(Run.label_set_id == label_set.id).order_by(Run.created_at)).all()
    recipe = known_recipe(label_set.method, label_set.params)
    return LabelSetCard(
        id=label_set.id,
        name=label_set.name,
        recipe=recipe,
        method_title=recipe.title if recipe else label_set.method,
        changes=describe_changes(recipe.params) if recipe else "drawn by a method that this version does not have",
        images=summary.images,
        area=summary.area,
        dice=summary.dice,
        iou=summary.iou,
        quality=summary.quality,
        unclear=summary.unclear,
        dropped=summary.dropped,
        choice=auto_choice(label_set.state),
        created_at=label_set.created_at,
        runs=tuple(runs),
        job=job_view(jobs.find(session, label_set.job_id), now, lost_after_s),
    )


def job_of(session: Session, label_set_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the job that draws a label set, or None where the set is gone."""
    label_set = session.get(LabelSet, label_set_id)
    return None if label_set is None else job_view(jobs.find(session, label_set.job_id), now, lost_after_s)
