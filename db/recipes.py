"""Mask sets (frozen recipes and their masks), and the recipes that a person saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.orm import Session

from db import audit, measurements
from db.datasets import InUse
from db.exports import refuse_while_read
from db.models import Dataset, Image, Job, JobStatus, Label, LabelSet, Run, SavedRecipe
from db.names import NameTaken, checked_name
from db.session import chunked

IMPORTED = "imported"
"""The method of mask sets whose masks come from elsewhere; `params` say from where and how they were read."""


def create(
    session: Session,
    dataset: Dataset,
    name: str,
    method: str,
    params: dict[str, Any],
    seed: int,
    code_version: str,
    state: dict[str, Any] | None = None,
) -> LabelSet:
    """Freeze a recipe; its job computes the masks, after fitting the method to the dataset if it needs a `state`.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    label_set = LabelSet(
        dataset_id=dataset.id,
        name=checked_name(session, LabelSet, name),
        method=method,
        params=params,
        seed=seed,
        state=state,
        code_version=code_version,
        dataset_fingerprint=dataset.fingerprint,
        left_out_id=dataset.left_out_id,
    )
    session.add(label_set)
    session.flush()
    return label_set


def listing(session: Session, dataset_id: str | None = None) -> list[LabelSet]:
    """Return mask sets, newest first."""
    query = select(LabelSet).order_by(LabelSet.created_at.desc())
    return list(session.scalars(query.where(LabelSet.dataset_id == dataset_id) if dataset_id else query))


def label_free(label_set: LabelSet | None) -> bool:
    """Whether a method computed the masks of a set from the images alone; False for truth, which is None."""
    return label_set is not None and label_set.method not in (IMPORTED, "strokes")


def labelled_images(session: Session, label_set_id: str) -> set[str]:
    """Return the ids of the images that have their mask."""
    return set(session.scalars(select(Label.image_id).where(Label.label_set_id == label_set_id)))


def dropped_images(session: Session, label_set_id: str) -> set[str]:
    """Return the ids of the images that a person excluded from training."""
    query = select(Label.image_id).where(Label.label_set_id == label_set_id, Label.dropped.is_(True))
    return set(session.scalars(query))


def left_aside(session: Session, label_set_id: str) -> set[str]:
    """Return the ids of the images that nothing is trained on: dropped from the mask set, or excluded everywhere."""
    query = select(Label.image_id).join(Image, Image.id == Label.image_id)
    return set(session.scalars(query.where(Label.label_set_id == label_set_id, Label.dropped | Image.excluded)))


def label_quality(session: Session, label_set_id: str) -> dict[str, float | None]:
    """Return {image id: label-free quality} of a mask set; None where an older version computed none."""
    query = select(Label.image_id, Label.quality).where(Label.label_set_id == label_set_id)
    return dict(session.execute(query).all())


def set_dropped(session: Session, label_set_id: str, image_ids: Sequence[str] | None, dropped: bool) -> None:
    """Mark images of a mask set as dropped, or undo it; None is all of them."""
    change = update(Label).where(Label.label_set_id == label_set_id).values(dropped=dropped)
    if image_ids is None:
        session.execute(change)
        return
    for ids in chunked(image_ids):
        session.execute(change.where(Label.image_id.in_(ids)))


def set_classes(session: Session, label_set_id: str, classes: Sequence[dict[str, Any]]) -> None:
    """Store the classes that the masks of a mask set tell apart, background first; none for foreground alone."""
    session.get_one(LabelSet, label_set_id).classes = list(classes)


def set_read_as(session: Session, label_set_id: str, read_as: str) -> None:
    """Store in words how the masks of an imported mask set were read."""
    label_set = session.get_one(LabelSet, label_set_id)
    label_set.params = label_set.params | {"read_as": read_as}


def set_state(session: Session, label_set_id: str, state: dict[str, Any] | None, recipe_key: str) -> None:
    """Store what a mask set's method learned of the dataset, and the key of the whole recipe."""
    label_set = session.get_one(LabelSet, label_set_id)
    label_set.state, label_set.recipe_key = state, recipe_key


def existing_labels(session: Session, recipe_key: str, content_hashes: Sequence[str]) -> dict[str, Label]:
    """Return {content hash: label} of images for which a mask set of the same recipe has a mask, in any dataset."""
    found: dict[str, Label] = {}
    for hashes in chunked(content_hashes):
        query = (
            select(Image.content_hash, Label)
            .join(Label, Label.image_id == Image.id)
            .join(LabelSet, LabelSet.id == Label.label_set_id)
            .where(LabelSet.recipe_key == recipe_key, Image.content_hash.in_(hashes))
        )
        found.update((content_hash, label) for content_hash, label in session.execute(query))
    return found


def add_labels(session: Session, label_set_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add or replace labels (see `db.models.Label`); whether one is dropped stays. Their files are stored already."""
    for values in rows:
        session.merge(Label(label_set_id=label_set_id, **values))


def labels(session: Session, label_set_id: str) -> list[Label]:
    return list(session.scalars(select(Label).where(Label.label_set_id == label_set_id)))


def summary(session: Session, label_set_id: str) -> Row[Any]:
    """Return (images, area, dice, iou, scored, quality, unclear, dropped): counts, and means of what is known.

    `images` are those that are kept. Excluded images are in none of the numbers, dropped ones in all others. Dice and
    IoU are against truth, of `scored` images; quality is computed without it.
    """
    return session.execute(
        select(
            func.count().filter(Label.dropped.is_(False)).label("images"),
            func.avg(Label.area).label("area"),
            func.avg(Label.dice).label("dice"),
            func.avg(Label.iou).label("iou"),
            func.count(Label.dice).label("scored"),
            func.avg(Label.quality).label("quality"),
            func.count().filter(Label.unclear.is_(True)).label("unclear"),
            func.count().filter(Label.dropped.is_(True)).label("dropped"),
        )
        .join(Image, Image.id == Label.image_id)
        .where(Label.label_set_id == label_set_id, Image.excluded.is_(False))
    ).one()


def rename(session: Session, label_set_id: str, name: str) -> None:
    """Give a mask set another name.

    Raises:
        NameTaken: it is empty, too long, or another mask set's; or the mask set does not exist any more.
    """
    label_set = session.get(LabelSet, label_set_id)
    if label_set is None:
        raise NameTaken("The mask set was deleted meanwhile.")
    if " ".join(name.split()) != label_set.name:
        before, label_set.name = label_set.name, checked_name(session, LabelSet, name)
        audit.record(session, "renamed", "label set", label_set_id, label_set.name, f"was {before}")


def delete_label_set(session: Session, label_set_id: str) -> list[tuple[str, str]]:
    """Delete a mask set; return [(kind of folder, id)] of files to remove afterwards.

    Raises:
        InUse: a run learned from it, or its job is at work.
    """
    runs = session.scalars(select(Run.name).where(Run.label_set_id == label_set_id)).all()
    if runs:
        raise InUse(f"The mask set was used to train {', '.join(map(repr, runs))}. Delete that first.")
    label_set = session.get(LabelSet, label_set_id)
    if label_set is None:  # another tab was faster
        return []
    job = session.get(Job, label_set.job_id) if label_set.job_id else None
    if job is not None and job.status in (JobStatus.QUEUED, JobStatus.RUNNING):
        raise InUse("The mask set is being computed. Stop that first.")
    refuse_while_read(session, "label_set", label_set_id)
    audit.record(session, "deleted", "label set", label_set_id, label_set.name)
    measured = measurements.folders(session, label_sets=[label_set_id])
    session.execute(delete(LabelSet).where(LabelSet.id == label_set_id))
    return [("labels", label_set_id), *measured]


def save_recipe(session: Session, name: str, method: str, params: dict[str, Any]) -> SavedRecipe:
    """Save a method and its parameters under a name.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    saved = SavedRecipe(name=checked_name(session, SavedRecipe, name), method=method, params=params)
    session.add(saved)
    session.flush()
    return saved


def saved_recipes(session: Session) -> list[SavedRecipe]:
    """Return the saved recipes, newest first."""
    return list(session.scalars(select(SavedRecipe).order_by(SavedRecipe.created_at.desc())))


def rename_recipe(session: Session, recipe_id: str, name: str) -> None:
    """Rename a saved recipe.

    Raises:
        NameTaken: the name is empty, too long or another recipe's; or the recipe does not exist any more.
    """
    saved = session.get(SavedRecipe, recipe_id)
    if saved is None:
        raise NameTaken("The recipe was deleted meanwhile.")
    if saved.name != " ".join(name.split()):
        saved.name = checked_name(session, SavedRecipe, name)


def delete_recipe(session: Session, recipe_id: str) -> None:
    """Delete a saved recipe; deleting one that is gone is no error."""
    saved = session.get(SavedRecipe, recipe_id)
    if saved is None:
        return
    audit.record(session, "deleted", "recipe", recipe_id, saved.name)
    session.execute(delete(SavedRecipe).where(SavedRecipe.id == recipe_id))
