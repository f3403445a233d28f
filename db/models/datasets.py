"""Datasets, their images, and what people draw on these."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import String, Text

from db.columns import Base, new_id, utc_now


class Dataset(Base):
    """Images that belong together. `purpose` is "dataset", or "prediction" for images imported only for prediction.

    `image_count`, `truth_count` and `fingerprint` are without excluded images.

    `left_out_id` is the region that is left out of all its images (`LeftOutRegion.file_id`), empty for none, and
    `left_out_revision` that of the newest, 0 where there never was one. Mask sets, runs and prediction sets have the
    `left_out_id` that they began with.
    """

    __tablename__ = "datasets"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    purpose: Mapped[str] = mapped_column(String(16), default="dataset", index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    job_id: Mapped[str | None] = mapped_column(String(32))
    image_count: Mapped[int] = mapped_column(default=0)
    truth_count: Mapped[int] = mapped_column(default=0)
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    classes: Mapped[list[Any]] = mapped_column(default=list)
    lookup: Mapped[list[Any]] = mapped_column(default=list)
    truth_codes: Mapped[list[Any] | None]
    truth_version: Mapped[int] = mapped_column(default=0)
    left_out_id: Mapped[str | None] = mapped_column(String(32))
    left_out_revision: Mapped[int] = mapped_column(default=0)


class Image(Base):
    """One image of a dataset. `name` is display text and never part of a path.

    `pixel_width_um` and `pixel_height_um` are the size of one pixel in micrometres, empty where the file did not say;
    `pixel_size_source` is what said so, such as "OME". `correction_revision` is the revision of its newest correction,
    0 where there never was one. Images `in_audit` are corrected wholly, to score masks with, and never trained on.
    `excluded` by a person: mask sets, runs, predictions and audits that begin from then on do without the image.
    """

    __tablename__ = "images"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(String(1024))
    content_hash: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    has_truth: Mapped[bool] = mapped_column(default=False)
    truth_values: Mapped[list[Any]] = mapped_column(default=list)
    pixel_width_um: Mapped[float | None]
    pixel_height_um: Mapped[float | None]
    pixel_size_source: Mapped[str | None] = mapped_column(String(32))
    correction_revision: Mapped[int] = mapped_column(default=0)
    in_audit: Mapped[bool] = mapped_column(default=False)
    excluded: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (
        UniqueConstraint("dataset_id", "content_hash"),
        Index("ix_images_dataset_id_position", "dataset_id", "position"),
    )


class ImportEntry(Base):
    """One file of an import: imported (`taken`), or skipped and why; `same_as` is the image it doubles, or empty."""

    __tablename__ = "import_entries"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(1024))
    taken: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text, default="")
    same_as: Mapped[str] = mapped_column(String(1024), default="")
    __table_args__ = (UniqueConstraint("job_id", "name"),)


class Correction(Base):
    """What a person drew on an image; revision 1 is the first. Never changed: drawing again adds a revision.

    `finished` says that the whole image was looked at, so that what was not drawn is right too, or ignored; otherwise
    these are strokes. `pixels` counts what was drawn, [[value, pixels], ...] (see `engine.imaging.corrections`).
    `file_id` is the correction whose file holds it: this one, or an earlier one if later ones were withdrawn; empty if
    nothing is left. `source` is "drawn", "imported", "accepted" or "withdrawn". `mask_dice` is the Dice of the mask
    that the person saw, against the correction; `mask_of` the id of its mask set or run.
    """

    __tablename__ = "corrections"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    revision: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=utc_now)
    person_id: Mapped[str] = mapped_column(String(32), default="")
    who: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(16))
    finished: Mapped[bool]
    pixels: Mapped[list[Any]] = mapped_column(default=list)
    file_id: Mapped[str] = mapped_column(String(32), default="")
    mask_dice: Mapped[float | None]
    mask_of: Mapped[str] = mapped_column(String(32), default="")
    __table_args__ = (UniqueConstraint("image_id", "revision"),)


class LeftOutRegion(Base):
    """What is left out of all images of a dataset; revision 1 is the first. Never changed: a change adds a revision.

    `file_id` is the revision whose file holds it: this one, or an earlier one that was taken up again; empty if nothing
    is left out any more. `source` is "drawn", "found", "imported", "cleared" or "withdrawn"; `share` that of an image.
    """

    __tablename__ = "left_out_regions"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    revision: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=utc_now)
    person_id: Mapped[str] = mapped_column(String(32), default="")
    who: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(16))
    file_id: Mapped[str] = mapped_column(String(32), default="")
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    share: Mapped[float] = mapped_column(default=0.0)
    __table_args__ = (UniqueConstraint("dataset_id", "revision"),)


class Probe(Base):
    """The images of a dataset that the Masks page shows while a recipe is tuned."""

    __tablename__ = "probes"
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)
