"""Data of the tab *Leave out* of a dataset: the region, the images to look at it on, and what was made before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import left_out
from db.models import Dataset, Image
from engine.datasets.left_out import typical_images

HOW = {"drawn": "drawn", "found": "found in the images", "imported": "imported", "withdrawn": "taken up again"}


@dataclass(frozen=True)
class LeftOutView:
    """What is left out of a dataset. `images` are of the most frequent size; `others` counts those of another.

    `region_id` is empty if nothing is left out; `share` is that of an image, `how`, `who` and `at` where it comes from.
    """

    revision: int
    region_id: str
    share: float
    how: str
    who: str
    at: datetime | None
    can_undo: bool
    images: tuple[Image, ...]
    others: int
    label_sets_before: tuple[str, ...]
    runs_before: tuple[str, ...]


def left_out_view(session: Session, dataset_id: str) -> LeftOutView:
    """Return what is left out of a dataset that has images."""
    dataset, now = session.get_one(Dataset, dataset_id), left_out.current(session, dataset_id)
    columns = select(Image.id, Image.width, Image.height).where(Image.dataset_id == dataset_id)
    everything = session.execute(columns.order_by(Image.position, Image.id)).all()  # there may be ten thousand
    chosen, older = [row.id for row in typical_images(everything)], left_out.made_before(session, dataset_id)
    found = {image.id: image for image in session.scalars(select(Image).where(Image.id.in_(chosen)))}
    images = [found[image_id] for image_id in chosen]
    size = images[0].width, images[0].height
    return LeftOutView(
        revision=dataset.left_out_revision,
        region_id=now.file_id if now else "",
        share=now.share if now else 0.0,
        how=HOW.get(now.source, now.source) if now else "",
        who=now.who if now else "",
        at=now.at if now else None,
        can_undo=left_out.before(session, dataset_id) is not None,
        images=tuple(images),
        others=sum((image.width, image.height) != size for image in everything),
        label_sets_before=older.label_sets,
        runs_before=older.runs,
    )
