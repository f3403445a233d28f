"""Sweeps and their trials."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import String, Text

from db.columns import Base, enum_column, new_id, utc_now


class SweepKind(enum.StrEnum):
    """What a trial is: a training run, or a mask set."""

    RUNS = "runs"
    MASKS = "masks"


class SweepState(enum.StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"


class TrialState(enum.StrEnum):
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    STOPPED = "stopped"


class Sweep(Base):
    """Trials of settings that vary in `space` (`engine.sweeps.space`) around `base`, until `trials` were begun.

    `base` is {"preset", "config"} of runs, which learn from `label_set_id` or from truth where that is empty, or
    {"method", "params", "seed"} of mask sets. At most `parallel` trials wait or run at once. A trial is better with a
    higher `objective`: "truth", "audit" or "label_free". `error` says why a sweep stopped by itself. `needs` are the
    fields of `db.workers.Needs` that its trials need of a machine.
    """

    __tablename__ = "sweeps"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    label_set_id: Mapped[str | None] = mapped_column(ForeignKey("label_sets.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[SweepKind] = mapped_column(enum_column(SweepKind))
    base: Mapped[dict[str, Any]]
    space: Mapped[list[Any]]
    sampler: Mapped[str] = mapped_column(String(16))
    objective: Mapped[str] = mapped_column(String(16))
    prune: Mapped[bool]
    state: Mapped[SweepState] = mapped_column(enum_column(SweepState), default=SweepState.RUNNING, index=True)
    trials: Mapped[int]
    parallel: Mapped[int] = mapped_column(default=1)
    seed: Mapped[int] = mapped_column(default=0)
    code_version: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    error: Mapped[str] = mapped_column(Text, default="")
    needs: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Trial(Base):
    """One trial, numbered from 0, with its sampled `params` by path. Its run or mask set may be deleted meanwhile.

    `score` is the objective; `pruned_epoch` the epoch after which the sweep ended it early.
    """

    __tablename__ = "trials"
    sweep_id: Mapped[str] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    params: Mapped[dict[str, Any]]
    state: Mapped[TrialState] = mapped_column(enum_column(TrialState), default=TrialState.RUNNING)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    label_set_id: Mapped[str | None] = mapped_column(ForeignKey("label_sets.id", ondelete="SET NULL"), index=True)
    job_id: Mapped[str | None] = mapped_column(String(32), index=True)
    score: Mapped[float | None]
    pruned_epoch: Mapped[int | None]
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[datetime | None]
