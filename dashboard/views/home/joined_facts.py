"""The machines that joined, for the Home page: what each has, what it does now, and since when it is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from dashboard.facts import wording
from dashboard.views.home.facts import in_words
from db import jobs, launches, workers
from db.models import Launch, Worker, WorkerState


@dataclass(frozen=True)
class JoinedMachine:
    """One worker that joined: what it `has`, what it `does` now, and for how long it is `silent`, "" if it is not."""

    id: str
    name: str
    has: str
    does: str
    silent: str


def joined_machines(session: Session, now: datetime, lost_after_s: float) -> tuple[JoinedMachine, ...]:
    """Return the machines that joined and are not long gone."""
    return tuple(_machine(session, row, now, lost_after_s) for row in workers.joined(session, now))


@dataclass(frozen=True)
class Requested:
    """Workers that a launcher requested: how many have not joined yet since when, and why the last one failed."""

    words: str
    failed: str


def requested(session: Session, now: datetime) -> Requested:
    """Return what Home says of workers that a launcher requested; parts are empty where there is nothing to say."""
    waiting, failed_ones = launches.pending(session), launches.failures(session, now)
    last = next(iter(failed_ones.values()), None)
    words = failed = ""
    if waiting:
        number = "A worker was requested" if len(waiting) == 1 else f"{len(waiting)} workers were requested"
        words = f"{number} {wording.ago(waiting[0].requested_at, now)}. Not joined yet."
    if last is not None:
        left_s = (launches.next_try_at(last) - now).total_seconds()
        again = (
            f"The next try is in {wording.duration(left_s)}."
            if left_s > 0
            else "It is tried again when a job needs it."
        )
        failed = last.error if waiting else f"{last.error} {again}"
    return Requested(words, failed)


def _machine(session: Session, row: Worker, now: datetime, lost_after_s: float) -> JoinedMachine:
    live = [job for job in workers.held(session, row.id) if not jobs.is_lost(job, now, lost_after_s)]
    held, free = [in_words(session, job) for job in live], row.slots - len(live)
    if workers.is_silent(row, now, lost_after_s):
        does, silent = "", wording.duration(abs((now - row.heartbeat_at).total_seconds()))
    else:
        idle = "idle" if not held else f"{wording.count(free, 'slot')} free" if free > 0 else ""
        stopping = "stopping" if row.state == WorkerState.STOPPING else ""
        does, silent = " · ".join(filter(None, [*held, stopping or idle])), ""
    memory = f"{wording.size(row.memory_mb * 1e6)} of memory"
    started = ["started by the launcher"] if session.get(Launch, row.id) else []
    has = [wording.count(row.cores, "core"), memory, *_gpus(row.gpus), *(f"tag {tag}" for tag in row.tags), *started]
    return JoinedMachine(row.id, row.host, ", ".join(has), does, silent)


def _gpus(names: Sequence[str]) -> list[str]:
    """Return each kind of GPU with its number, such as "2 × NVIDIA H200"."""
    return [f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
