"""The queue."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import String, Text

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


class WorkerState(enum.StrEnum):
    ACTIVE = "active"
    STOPPING = "stopping"


class WorkerKind(enum.StrEnum):
    """APP is the app itself, which runs no jobs; LOCAL a process that a launcher started; JOINED is `worker --join`."""

    APP = "app"
    LOCAL = "local"
    JOINED = "joined"


class Worker(Base):
    """A process that claims jobs, at most `slots` at a time, or the app. Rows of those that ended are deleted.

    `heartbeat_at` says whether it can still be counted on. `cores` and `memory_mb` are those of its machine, `gpus` the
    names of the GPUs that TensorFlow can use there. One that is STOPPING claims nothing and hands its jobs back.
    """

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[WorkerKind] = mapped_column(enum_column(WorkerKind))
    state: Mapped[WorkerState] = mapped_column(enum_column(WorkerState), default=WorkerState.ACTIVE)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(String(32))
    slots: Mapped[int] = mapped_column(default=1)
    cores: Mapped[int] = mapped_column(default=1)
    memory_mb: Mapped[int] = mapped_column(default=0)
    gpus: Mapped[list[Any]] = mapped_column(default=list)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    heartbeat_at: Mapped[datetime] = mapped_column(default=utc_now)


class Launch(Base):
    """A worker that a launcher requested elsewhere for a job with these needs; it joins with the id of this row.

    Pending until it joins, or until it is given up, with a sentence in `error`. No more than `at_most` of them work at
    once. `attempt` counts those with the same needs that failed since one
    joined that meets them. Deleted when its worker ends.
    """

    __tablename__ = "launches"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    launcher: Mapped[str] = mapped_column(String(32))
    needs_gpu: Mapped[bool] = mapped_column(default=False)
    needs_memory_mb: Mapped[int] = mapped_column(default=0)
    needs_tag: Mapped[str] = mapped_column(String(64), default="")
    at_most: Mapped[int]
    attempt: Mapped[int] = mapped_column(default=1)
    requested_at: Mapped[datetime] = mapped_column(default=utc_now)
    joined_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")


class Job(Base):
    """One unit of background work. After submission only its worker writes it, except `stop_requested`.

    `progress_*` are the fields of `db.jobs.Progress`, `needs_*` those of `db.workers.Needs`. `worker_id` is the worker
    that holds it, or held it last; `worker` names the process, for people. `heartbeat_at` alone says whether the job is
    lost.
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
    worker_id: Mapped[str | None] = mapped_column(String(32))
    needs_gpu: Mapped[bool] = mapped_column(default=False)
    needs_memory_mb: Mapped[int] = mapped_column(default=0)
    needs_tag: Mapped[str] = mapped_column(String(64), default="")
    needs_local: Mapped[bool] = mapped_column(default=False)
    stop_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(Text)
