"""The audit of a dataset: its images, which of them are corrected wholly, and the masks that they can score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db import audit, corrections, left_out
from db.models import Correction, Dataset, Image, LabelSet, PredictionSet, Run, RunImage
from db.session import changed_rows


@dataclass(frozen=True)
class AuditMasks:
    """A mask set, or a run with masks of its own dataset, whose prediction set is `set_id`.

    `classes` says whether the masks tell several apart; `trained_on` counts the images of the audit that a run was
    trained on, before they were drawn.
    """

    kind: Literal["mask set", "run"]
    id: str
    name: str
    set_id: str
    classes: bool
    trained_on: int = 0


@dataclass(frozen=True)
class AuditSet:
    """The images of an audit in the order of the dataset, and {image id: correction} of those that are drawn wholly.

    Nobody has to draw what is left out of the images. Only its share is known here, not where it is.
    `left_out_id` is the region that is left out of all images of the dataset now, or None.
    """

    images: Sequence[Image]
    finished: Mapping[str, Correction]
    left_out_id: str | None = None

    @property
    def corrections(self) -> Mapping[str, Correction]:
        """{image id: correction} that can score masks: none before all images are finished."""
        return self.finished if self.complete else {}

    @property
    def complete(self) -> bool:
        """Whether there is an audit, and all its images are finished."""
        return bool(self.images) and len(self.finished) == len(self.images)


def audit_set(session: Session, dataset_id: str) -> AuditSet:
    """Return the audit of a dataset; without images if none was drawn."""
    query = select(Image).where(Image.dataset_id == dataset_id, Image.in_audit.is_(True), Image.excluded.is_(False))
    images = session.scalars(query.order_by(Image.position, Image.id)).all()
    current = corrections.current(session, dataset_id, [image.id for image in images])
    region = left_out.current(session, dataset_id)

    def is_whole(image: Image) -> bool:
        pixels = image.width * image.height
        untouched: int = pixels - sum(count for _, count in current[image.id].pixels)
        # A region that is stretched to an image may gain a row or column of it
        return untouched <= (region.share * pixels + image.width + image.height if region else 0)

    finished = {
        image.id: row for image in images if (row := current.get(image.id)) and row.finished and is_whole(image)
    }
    return AuditSet(images, finished, session.get_one(Dataset, dataset_id).left_out_id)


def free_images(session: Session, dataset_id: str) -> int:
    """Return how many images can still be drawn: those that nobody has corrected or excluded."""
    included = Image.dataset_id == dataset_id, Image.excluded.is_(False)
    free = *included, Image.in_audit.is_(False), Image.correction_revision == 0
    return session.scalar(select(func.count()).where(*free)) or 0


def audit_masks(session: Session, dataset_id: str) -> list[AuditMasks]:
    """Return the runs with masks of a dataset, newest first, then its mask sets, newest first."""
    runs = select(Run, PredictionSet.id).join(PredictionSet, PredictionSet.run_id == Run.id)
    own = Run.dataset_id == dataset_id, PredictionSet.dataset_id == dataset_id
    trained = (
        select(RunImage.run_id, func.count())
        .join(Image, Image.id == RunImage.image_id)
        .where(Image.dataset_id == dataset_id, Image.in_audit.is_(True), Image.excluded.is_(False))
        .where(RunImage.split == "train")
    )
    seen: dict[str, int] = dict(session.execute(trained.group_by(RunImage.run_id)).all())
    labels = select(LabelSet).where(LabelSet.dataset_id == dataset_id).order_by(LabelSet.created_at.desc())
    return [
        AuditMasks("run", run.id, run.name, set_id, bool(run.classes), seen.get(run.id, 0))
        for run, set_id in session.execute(runs.where(*own).order_by(Run.created_at.desc()))
    ] + [AuditMasks("mask set", row.id, row.name, row.id, bool(row.classes)) for row in session.scalars(labels)]


def discard(session: Session, dataset_id: str) -> int:
    """End the audit of a dataset: what was drawn on its images stays, and may be learned from. Return how many."""
    images = Image.dataset_id == dataset_id, Image.in_audit.is_(True)
    count = changed_rows(session, update(Image).where(*images).values(in_audit=False))
    if count:
        name = session.get_one(Dataset, dataset_id).name
        audit.record(session, "discarded audit", "dataset", dataset_id, name, f"{count} images")
    return count
