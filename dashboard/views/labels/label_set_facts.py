"""The mask sets of a dataset: the recipe that computed them, their scores, and the runs trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.facts.auto_choice import AutoChoice, auto_choice
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.recipes import Recipe, describe_stored
from dashboard.views.labels.facts import MaskClasses, mask_classes
from db import jobs, recipes
from db.models import Dataset, LabelSet, Run
from engine.labelling.strokes.backbones import weights_of


@dataclass(frozen=True)
class LabelSetCard:
    """A mask set. Dice and IoU are means against truth at threshold 0.5; `runs` are the names of runs trained on it.

    `images` counts the masks that are kept, `dropped` those left out of training, `unclear` images without clear
    foreground; excluded images are in none of them. Quality is the mask plausibility in [0, 1]; None where it was not
    computed. `choice` is the choice of the automatic method, `verdict` that of the job, None for masks of older
    versions. `imported` masks have no recipe: `changes` says from where they are. `classes` are those that the masks
    tell apart.
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
    verdict: dict[str, Any] | None
    created_at: datetime
    runs: tuple[str, ...]
    job: JobView | None
    classes: MaskClasses
    imported: bool = False

    @property
    def masks(self) -> int:
        """How many masks there are, dropped ones included."""
        return self.images + self.dropped

    @property
    def can_train(self) -> bool:
        """Whether there are masks, and none is being computed."""
        return self.masks > 0 and not (self.job is not None and self.job.at_work)


def label_set_cards(session: Session, dataset_id: str, now: datetime, lost_after_s: float) -> tuple[LabelSetCard, ...]:
    """Return the mask sets of a dataset, newest first."""
    return tuple(_card(session, label_set, now, lost_after_s) for label_set in recipes.listing(session, dataset_id))


def _card(session: Session, label_set: LabelSet, now: datetime, lost_after_s: float) -> LabelSetCard:
    scores = recipes.summary(session, label_set.id)._asdict()
    del scores["scored"]
    dataset = session.get_one(Dataset, label_set.dataset_id)
    runs = session.scalars(select(Run.name).where(Run.label_set_id == label_set.id).order_by(Run.created_at))
    recipe, title, changes = describe_stored(label_set.method, label_set.params)
    job = jobs.find(session, label_set.job_id)
    weights = weights_of(label_set.params, label_set.state or {})
    changes += f", helped by {weights}" if weights else ""
    return LabelSetCard(
        id=label_set.id,
        name=label_set.name,
        recipe=recipe,
        method_title=title,
        changes=changes,
        choice=auto_choice(label_set.state),
        verdict=job.result if job is not None and "verdict" in job.result else None,
        created_at=label_set.created_at,
        runs=tuple(runs),
        job=job_view(job, now, lost_after_s),
        imported=label_set.method == recipes.IMPORTED,
        classes=mask_classes(label_set.classes, dataset.classes),
        **scores,
    )


def job_of(session: Session, label_set_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the job that computes a mask set, or None where the set was deleted."""
    label_set = session.get(LabelSet, label_set_id)
    return None if label_set is None else job_view(jobs.find(session, label_set.job_id), now, lost_after_s)
