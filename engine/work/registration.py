"""What is registered of a worker: its machine, and what that offers to jobs."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection

from sqlalchemy.orm import Session

from db import launches, workers
from db.columns import new_id, utc_now
from db.models import Worker, WorkerKind
from db.workers import Capacity, Needs
from engine import VERSION
from engine.core import machine
from engine.core.settings import Settings


def new_worker(kind: WorkerKind, slots: int = 1, tags: Collection[str] = ()) -> Worker:
    """Return the row of a worker in this process, not stored yet."""
    return Worker(
        id=new_id(),
        kind=kind,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=VERSION,
        slots=slots,
        cores=machine.cores(),
        memory_mb=machine.usable_memory_bytes() // 1_000_000,
        gpus=list(machine.gpus()),
        tags=sorted(tags),
        started_at=utc_now(),
    )


def capacity_here(current: Settings) -> Capacity | None:
    """Return what workers that this machine's launcher starts offer to jobs; None if it starts none."""
    return Capacity(machine.usable_memory_bytes() // 1_000_000, machine.gpus()) if current.max_workers else None


def taken_here(current: Settings, needs: Needs) -> bool:
    """Whether a worker of this machine can take a job with these needs, so that one should be started."""
    here = capacity_here(current)
    return here is not None and here.takes(needs)


def why_waiting(session: Session, current: Settings, needs: Needs) -> str:
    """Return why no worker can take a queued job with these needs now; "" if one can."""
    now = utc_now()
    why = workers.why_waiting(session, needs, capacity_here(current), now, current.lost_after_s)
    elsewhere = current.launcher != "local" and not needs.local and needs.tag in ("", *current.tags_elsewhere)
    return launches.waiting_words(session, needs, now) if why and elsewhere else why
