"""Mask sets and recipes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, String

from db.columns import Base, new_id, utc_now


class LabelSet(Base):
    """A frozen recipe and its masks. Not changed after its job has ended, except which labels are dropped.

    `state` is what the method learned from the dataset, empty for methods that learn nothing. Mask sets with the same
    `recipe_key` have the same mask for the same image; it is empty until the state is known. `classes` are those that
    its masks tell apart, with background first; empty for foreground alone.
    """

    __tablename__ = "label_sets"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    method: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(default=0)
    state: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    recipe_key: Mapped[str | None] = mapped_column(String(64), index=True)
    classes: Mapped[list[Any]] = mapped_column(default=list)
    code_version: Mapped[str] = mapped_column(String(32))
    dataset_fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    job_id: Mapped[str | None] = mapped_column(String(32))
    left_out_id: Mapped[str | None] = mapped_column(String(32))


class Label(Base):
    """One mask of a mask set. Dice and IoU are against truth, at threshold 0.5; empty where there is no truth.

    `quality` in [0, 1] and its parts by name are computed from the image alone; `unclear` means that no foreground
    stands out. `dropped` is set by a person: the image is not used for training.
    """

    __tablename__ = "labels"
    label_set_id: Mapped[str] = mapped_column(ForeignKey("label_sets.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    area: Mapped[float]
    dice: Mapped[float | None]
    iou: Mapped[float | None]
    quality: Mapped[float | None]
    quality_parts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    unclear: Mapped[bool] = mapped_column(default=False)
    dropped: Mapped[bool] = mapped_column(default=False)


class SavedRecipe(Base):
    """A method and its parameters that a person saved under a name, for any dataset."""

    __tablename__ = "kept_recipes"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    method: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
