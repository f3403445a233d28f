"""Trainings, predictions and measurements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, LargeBinary, String, Text

from db.columns import Base, new_id, utc_now


class Run(Base):
    """One training. `label_set_id` is what it was trained on; empty means truth.

    `classes` are those that it tells apart, as its dataset had them when it started; empty for foreground alone.
    `note`, `tags` (short words), `pinned` and `archived` are set by people, and no job depends on them.
    """

    __tablename__ = "runs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    label_set_id: Mapped[str | None] = mapped_column(ForeignKey("label_sets.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(200), unique=True)
    preset: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]]
    lookup: Mapped[list[Any]] = mapped_column(default=list)
    classes: Mapped[list[Any]] = mapped_column(default=list)
    code_version: Mapped[str] = mapped_column(String(32))
    dataset_fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    job_id: Mapped[str | None] = mapped_column(String(32))
    left_out_id: Mapped[str | None] = mapped_column(String(32))
    ended_reason: Mapped[str] = mapped_column(Text, default="")
    best_epoch: Mapped[int | None]
    best_val_dice: Mapped[float | None]
    train_seconds: Mapped[float | None]
    parameter_count: Mapped[int | None]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    note: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    pinned: Mapped[bool] = mapped_column(default=False)
    archived: Mapped[bool] = mapped_column(default=False)


class RunImage(Base):
    """The split of an image in a run ("train", "validation", "dropped" as its label, or "audit"), and if it is a probe.

    `correction_id` is the correction that was laid over its label, as it was when the run started; empty for none.
    """

    __tablename__ = "run_images"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(16))
    probe: Mapped[bool] = mapped_column(default=False)
    correction_id: Mapped[str | None] = mapped_column(String(32))


class Metric(Base):
    """One number of one epoch (counted from 1) of a run. Written as an upsert, so a resumed run duplicates none."""

    __tablename__ = "metrics"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[float]
    # One metric of every run, for the table of runs, is answered from this index alone.
    __table_args__ = (Index("ix_metrics_name_run_id_epoch_value", "name", "run_id", "epoch", "value"),)


class Round(Base):
    """One round of self-training: the labels it trained on (the teacher's side), and its masks (the student's side).

    `agreement` is the mean Dice between masks and labels on validation images, which the network never saw; it decides
    together with `*_quality`, means of the label-free quality over the run's images. `*_truth_*` are means against
    truth at threshold 0.5, for information only; empty where there is no truth. Epochs count through all rounds from 1.
    """

    __tablename__ = "rounds"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    first_epoch: Mapped[int]
    last_epoch: Mapped[int]
    accepted: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text, default="")
    images: Mapped[int]
    left_out: Mapped[int] = mapped_column(default=0)
    agreement: Mapped[float | None]
    labels_quality: Mapped[float | None]
    masks_quality: Mapped[float | None]
    labels_truth_dice: Mapped[float | None]
    labels_truth_iou: Mapped[float | None]
    masks_truth_dice: Mapped[float | None]
    masks_truth_iou: Mapped[float | None]


class PredictionSet(Base):
    """One run's best model applied to one dataset: its own (the gallery) or another."""

    __tablename__ = "prediction_sets"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    job_id: Mapped[str | None] = mapped_column(String(32))
    left_out_id: Mapped[str | None] = mapped_column(String(32))
    flips: Mapped[bool] = mapped_column(default=False)
    refine: Mapped[str] = mapped_column(String(32), default="none")


class Prediction(Base):
    """One predicted mask. `counts` holds true positives and predicted pixels at 101 thresholds for each reference.

    `label_*` scores are agreement with the run's pseudo-label; `truth_*` are against truth. All at
    threshold 0.5. Either is empty where that reference does not exist. `uncertainty` in [0, 1] is the mean of the
    uncertainty map (see `engine.network.inference`), `flip_agreement` in [0, 1] the Dice at threshold 0.5 between the
    predictions for the image and for its mirror image; empty where only one was computed. Scores and counts are of
    foreground; `truth_confusion`, where the run tells classes apart, has [class in truth, predicted class, pixels]
    for each pair of classes that occurs.
    """

    __tablename__ = "predictions"
    prediction_set_id: Mapped[str] = mapped_column(
        ForeignKey("prediction_sets.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(16), default="")
    area: Mapped[float]
    mean_probability: Mapped[float]
    uncertainty: Mapped[float | None]
    flip_agreement: Mapped[float | None]
    label_dice: Mapped[float | None]
    label_iou: Mapped[float | None]
    truth_dice: Mapped[float | None]
    truth_iou: Mapped[float | None]
    label_counts: Mapped[bytes | None] = mapped_column(LargeBinary)
    truth_counts: Mapped[bytes | None] = mapped_column(LargeBinary)
    truth_confusion: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    __table_args__ = (
        Index("ix_predictions_label_dice", "prediction_set_id", "label_dice"),
        Index("ix_predictions_truth_dice", "prediction_set_id", "truth_dice"),
        # The mean over a run's validation images, for the table of all runs, without reading the counts.
        Index("ix_predictions_split_truth_dice", "prediction_set_id", "split", "truth_dice"),
    )


class Measurement(Base):
    """The objects of the masks of a prediction set or a mask set; both empty: of a dataset's truth.

    `params` is what counts as an object (`engine.measuring.objects.ObjectParams`), `pixel_size` what a person gave,
    such as "0.65um", empty for what the files say. Its job writes `classes`, the names of class 1, 2, …, how many
    `images` and `objects` there are, and the `stamp` of what it measured (`db.measuring.stamp_of`), empty until it has
    ended. `filters` are those that people saved: [{"name": …} and what the page keeps].
    """

    __tablename__ = "measurements"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    prediction_set_id: Mapped[str | None] = mapped_column(
        ForeignKey("prediction_sets.id", ondelete="CASCADE"), index=True
    )
    label_set_id: Mapped[str | None] = mapped_column(ForeignKey("label_sets.id", ondelete="CASCADE"), index=True)
    params: Mapped[dict[str, Any]]
    pixel_size: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    job_id: Mapped[str | None] = mapped_column(String(32))
    classes: Mapped[list[Any]] = mapped_column(default=list)
    images: Mapped[int] = mapped_column(default=0)
    objects: Mapped[int] = mapped_column(default=0)
    stamp: Mapped[str] = mapped_column(Text, default="")
    filters: Mapped[list[Any]] = mapped_column(default=list)
