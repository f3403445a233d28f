"""What the order of images to correct depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import corrections, datasets, predictions, recipes, runs
from db.models import Dataset, Image, Label


@dataclass(frozen=True)
class Masks:
    """The masks that are to be corrected: a mask set's, or a run's predictions, with the mask set it learned from."""

    label_set_id: str | None = None
    prediction_set_id: str | None = None


@dataclass(frozen=True)
class QueueRows:
    """What the database says: the images that are open, those that are corrected, the quality of labels by id, and the
    region that is left out of all images now, or None."""

    open: Sequence[Image]
    corrected: Sequence[Image]
    labelled: frozenset[str]
    quality: dict[str, float | None]
    left_out_id: str | None = None


def queue_rows(session: Session, dataset_id: str, masks: Masks) -> QueueRows:
    """Return the rows of a dataset's queue. Images of its audit are not in it: what is next is not drawn at random."""
    images = datasets.images(session, dataset_id)
    drawn = corrections.current(session, dataset_id)
    labelled = recipes.labelled_images(session, masks.label_set_id) if masks.label_set_id else set()
    quality = recipes.label_quality(session, masks.label_set_id) if masks.label_set_id else {}
    masked = runs.predicted_images(session, masks.prediction_set_id) if masks.prediction_set_id else labelled
    open_ = [
        image
        for image in images
        if image.id in masked and not image.in_audit and not (image.id in drawn and drawn[image.id].finished)
    ]
    corrected = [image for image in images if image.id in drawn]
    left_out_id = session.get_one(Dataset, dataset_id).left_out_id
    return QueueRows(open_, corrected, frozenset(labelled), quality, left_out_id)


def queue_stamp(session: Session, dataset_id: str, masks: Masks) -> tuple[str, str]:
    """Return a text that changes with the images and masks of a queue and with what is left out of them, and one that
    changes with what was drawn or is audited."""
    labels = session.scalar(select(func.count()).where(Label.label_set_id == masks.label_set_id))
    predicted = predictions.stamp(session, masks.prediction_set_id) if masks.prediction_set_id else ""
    audit = len(corrections.audit_images(session, dataset_id))
    about = select(Dataset.left_out_id, Dataset.fingerprint).where(Dataset.id == dataset_id)
    left_out_id, images = session.execute(about).one_or_none() or (None, "")
    return f"{labels}/{predicted}/{left_out_id}/{images}", f"{corrections.revisions(session, dataset_id)}/{audit}"
