"""The tables. Portable types only, so that every query also runs on PostgreSQL."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, LargeBinary, String, Text

from db.actors import Role
from db.columns import Base, enum_column, new_id, utc_now


class JobKind(enum.StrEnum):
    """The kinds of job that Maskloom itself submits; a module may declare another (`engine.work.context.JobType`)."""

    IMPORT = "import"
    TRUTH = "truth"
    MASKS = "masks"
    LABEL = "label"
    TRAIN = "train"
    PREDICT = "predict"
    MEASURE = "measure"
    EXPORT = "export"
    WARM = "warm"
    BACKBONE = "backbone"
    OBJECTS = "objects"


class JobStatus(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED)


class Job(Base):
    """One unit of background work. After submission only its worker writes it, except `stop_requested`.

    `progress_*` are the fields of `db.jobs.Progress`.
    """

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[JobStatus] = mapped_column(enum_column(JobStatus), default=JobStatus.QUEUED, index=True)
    payload: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    progress_done: Mapped[int] = mapped_column(default=0)
    progress_total: Mapped[int] = mapped_column(default=0)
    progress_phase: Mapped[str] = mapped_column(String(32), default="")
    progress_unit: Mapped[str] = mapped_column(String(16), default="images")
    progress_rate: Mapped[float | None]
    progress_details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(120))
    stop_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(Text)


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


class Probe(Base):
    """The images of a dataset that the Masks page shows while a recipe is tuned."""

    __tablename__ = "probes"
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)


class Person(Base):
    """Somebody who has logged in. `subject` is the issuer and its id for them, which no other person ever gets.

    `email` is empty where the provider has not verified it; `role` is one of `db.actors.Role`.
    """

    __tablename__ = "people"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    subject: Mapped[str] = mapped_column(String(600), unique=True)
    email: Mapped[str] = mapped_column(String(320), default="")
    name: Mapped[str] = mapped_column(String(200), default="")
    role: Mapped[Role] = mapped_column(enum_column(Role))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)


class AuditEntry(Base):
    """Who did what to which object, and when. Never changed; it outlives the person and the object."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    person_id: Mapped[str] = mapped_column(String(32), default="")
    who: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(1024))
    detail: Mapped[str] = mapped_column(Text, default="")


class EndedLogin(Base):
    """A login that was ended before its cookie expired. `key` is a hash of the cookie."""

    __tablename__ = "ended_logins"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(default=utc_now)
