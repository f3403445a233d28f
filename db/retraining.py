"""Runs that were trained again on what people corrected, and the run that each of them was trained again from.

Such a run has in `Run.details["retrained"]`: "from", the id of the other run, "warm", whether it began with the weights
of that one, once its masks are computed what `engine.prediction.old_and_new.changes` returned, and "kept", the id of
the run that a person prefers of the two, if anybody decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, null, select
from sqlalchemy.orm import Session, aliased

from db import audit, corrections, recipes, runs
from db.models import Image, Prediction, Run


@dataclass(frozen=True)
class Pair:
    """A run that was trained again and the one that it came from, with the ids of their own prediction sets."""

    old: Run
    new: Run
    old_set_id: str
    new_set_id: str


def origin_id(run: Run) -> str | None:
    """Return the id of the run that a run was trained again from; that one may be deleted."""
    found: str | None = run.details.get("retrained", {}).get("from")
    return found


def origin(session: Session, run: Run) -> Run | None:
    """Return the run that a run was trained again from, or None."""
    id_ = origin_id(run)
    return session.get(Run, id_) if id_ else None


def first(session: Session, run: Run) -> Run:
    """Return the run at the beginning of a line of runs that were trained again, as far as they still exist."""
    while (earlier := origin(session, run)) is not None:
        run = earlier
    return run


def newest(session: Session, run_id: str) -> Run | None:
    """Return the newest run that was trained again from this one."""
    is_its = Run.details["retrained", "from"].as_string() == run_id
    return session.scalars(select(Run).where(is_its).order_by(Run.created_at.desc(), Run.id).limit(1)).first()


def news(session: Session, run: Run) -> int:
    """Return on how many images people corrected, or withdrew, something since a run began that could teach it."""
    now = {image_id: row.file_id for image_id, row in corrections.teaching(session, run.dataset_id).items()}
    then = {image_id: row.file_id for image_id, row in corrections.of_run(session, run.id).items()}
    changed = {image_id for image_id in now.keys() | then.keys() if now.get(image_id) != then.get(image_id)}
    if not changed:
        return 0
    if run.label_set_id:
        can_teach = recipes.labelled_images(session, run.label_set_id)
        can_teach -= recipes.left_aside(session, run.label_set_id)
    else:
        included = Image.dataset_id == run.dataset_id, Image.excluded.is_(False)
        can_teach = set(session.scalars(select(Image.id).where(*included, Image.has_truth.is_(True))))
    return len(changed & can_teach)


def pair(session: Session, new: Run) -> Pair | None:
    """Return a run that was trained again with the one that it came from, if both have masks of their dataset."""
    old = origin(session, new)
    old_set, new_set = (runs.own_prediction_set(session, run) if run else None for run in (old, new))
    return Pair(old, new, old_set.id, new_set.id) if old and old_set and new_set else None


def both_predicted(session: Session, pair: Pair) -> list[str]:
    """Return the ids of the images of which both runs have a mask, in the dataset's order."""
    return list(session.scalars(_both(pair, Prediction.image_id)))


def held_out(session: Session, pair: Pair) -> Sequence[Row[Any]]:
    """Return (image_id, old_truth, new_truth, old_label, new_label) of the images that neither run was trained on.

    These are Dice against truth and agreement with the pseudo-label at threshold 0.5, None where there is no such
    reference, each run has labels of its own, or another region was left out when the older one was scored; no image of
    them has been corrected, unless it is one of the audit.
    """
    new = aliased(Prediction)
    same_pixels = pair.old.left_out_id == pair.new.left_out_id
    same_labels = same_pixels and pair.old.label_set_id == pair.new.label_set_id
    query = (
        _both(
            pair,
            Prediction.image_id,
            (Prediction.truth_dice if same_pixels else null()).label("old_truth"),
            new.truth_dice.label("new_truth"),
            (Prediction.label_dice if same_labels else null()).label("old_label"),
            (new.label_dice if same_labels else null()).label("new_label"),
            new=new,
        )
        .where(Prediction.split != "train", new.split != "train")
        .where(Image.in_audit | Image.id.not_in(list(corrections.current(session, pair.new.dataset_id))))
    )
    return session.execute(query).all()


def _both(pair: Pair, *columns: Any, new: Any = None) -> Any:
    new = new or aliased(Prediction)
    return (
        select(*columns)
        .join(new, (new.image_id == Prediction.image_id) & (new.prediction_set_id == pair.new_set_id))
        .join(Image, Image.id == Prediction.image_id)
        .where(Prediction.prediction_set_id == pair.old_set_id)
        .order_by(Image.position, Image.id)
    )


def keep(session: Session, new_id: str, kept_id: str) -> None:
    """Store which run of a pair a person prefers: the one that was trained again, or the one that it came from."""
    run = session.get_one(Run, new_id)
    run.details = run.details | {"retrained": run.details["retrained"] | {"kept": kept_id}}
    kept = session.get_one(Run, kept_id)
    audit.record(session, "preferred", "run", kept.id, kept.name, f"for predictions, comparing {run.name}")
