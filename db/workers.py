"""Workers: who claims jobs, on which machine, and what jobs need of it.

Every worker is registered with a heartbeat, those that a launcher started as well as those that joined from other
machines (docs/adr/0016). A job's own heartbeat says whether the job is lost; a worker's whether it can be counted on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from db.columns import new_id, utc_now
from db.models import Job, JobStatus, Launch, Worker, WorkerKind, WorkerState

TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")
GONE_AFTER = timedelta(days=1)
"""A worker that has been silent for longer is shown nowhere, and its row is deleted."""


@dataclass(frozen=True)
class Needs:
    """What a job needs of a worker: a GPU, memory in MB, a tag, or (`local`) the machine where it was submitted."""

    gpu: bool = False
    memory_mb: int = 0
    tag: str = ""
    local: bool = False

    @classmethod
    def of(cls, row: Job | Launch) -> Needs:
        local = isinstance(row, Job) and row.needs_local
        return cls(row.needs_gpu, row.needs_memory_mb, row.needs_tag, local)

    def __bool__(self) -> bool:
        return self != Needs()

    def __str__(self) -> str:
        """Return the needs in words, such as "a GPU and the tag 'big'"; "" for none."""
        parts = ["a GPU"] if self.gpu else []
        parts += [f"{self.memory_mb / 1000:g} GB of memory"] if self.memory_mb else []
        parts += [f"the tag {self.tag!r}"] if self.tag else []
        parts += ["the machine on which the app runs"] if self.local else []
        return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + "".join(parts[-1:])


@dataclass(frozen=True)
class Capacity:
    """What a worker offers. `joined`: it may be on another machine than the app."""

    memory_mb: int
    gpus: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    joined: bool = False

    @classmethod
    def of(cls, worker: Worker) -> Capacity:
        return cls(worker.memory_mb, tuple(worker.gpus), tuple(worker.tags), worker.kind == WorkerKind.JOINED)

    def takes(self, needs: Needs) -> bool:
        """Whether a worker without other jobs can take a job with these needs."""
        return (
            (bool(self.gpus) or not needs.gpu)
            and needs.memory_mb <= self.memory_mb
            and needs.tag in ("", *self.tags)
            and not (needs.local and self.joined)
        )

    def condition(self, used_mb: int = 0) -> ColumnElement[bool]:
        """Return the same as a condition on `Job`, while other jobs need `used_mb` of the memory."""
        fits = [Job.needs_tag.in_(("", *self.tags)), Job.needs_memory_mb <= max(self.memory_mb - used_mb, 0)]
        if not self.gpus:
            fits.append(Job.needs_gpu.is_(False))
        if self.joined:
            fits.append(Job.needs_local.is_(False))
        return and_(*fits)


def beat(session: Session, worker: Worker) -> None:
    """Register a worker, or store that it is alive. `worker` is a row of no session: it is copied."""
    row = session.merge(worker)
    row.heartbeat_at = utc_now()


def leave(session: Session, worker_id: str) -> None:
    """Delete the row of a worker that ends, and those that have been silent for long."""
    silent = (Worker.heartbeat_at < utc_now() - GONE_AFTER) & (Worker.kind != WorkerKind.APP)
    session.execute(delete(Worker).where((Worker.id == worker_id) | silent))
    session.execute(delete(Launch).where(Launch.id == worker_id))


def forget(session: Session, worker_id: str) -> None:
    """Delete the row of a silent worker. A job that it still holds is lost, and waits for a person to resume it."""
    session.execute(delete(Worker).where(Worker.id == worker_id))
    session.execute(delete(Launch).where(Launch.id == worker_id))


def stop(session: Session, worker_id: str) -> None:
    """Let a worker claim nothing more and hand back what it holds."""
    session.execute(update(Worker).where(Worker.id == worker_id).values(state=WorkerState.STOPPING))


def is_stopping(session: Session, worker_id: str) -> bool:
    return session.scalar(select(Worker.state).where(Worker.id == worker_id)) == WorkerState.STOPPING


def register_app(session: Session, host: str, pid: int, version: str) -> str:
    """Store which version of the app opened the database; return the id of this start, which the files get as well."""
    session.execute(delete(Worker).where(Worker.kind == WorkerKind.APP))
    app = Worker(id=new_id(), kind=WorkerKind.APP, host=host, pid=pid, version=version, slots=0)
    session.add(app)
    session.flush()
    return app.id


def app_of(session: Session) -> Worker | None:
    """Return the row of the app that opened the database last; None if none of this version ever did."""
    return session.scalars(select(Worker).where(Worker.kind == WorkerKind.APP)).first()


def joined(session: Session, now: datetime) -> list[Worker]:
    """Return the joined workers that are not long gone, by host and age."""
    found = select(Worker).where(Worker.kind == WorkerKind.JOINED, Worker.heartbeat_at >= now - GONE_AFTER)
    return list(session.scalars(found.order_by(Worker.host, Worker.started_at, Worker.id)))


def is_silent(worker: Worker, now: datetime, lost_after_s: float) -> bool:
    """Whether a worker's last heartbeat is too old, or too far in the future: a clock was set back."""
    return abs(now - worker.heartbeat_at) > timedelta(seconds=abs(lost_after_s))


def held(session: Session, worker_id: str) -> list[Job]:
    """Return the jobs that a worker runs, or ran when it fell silent, oldest first."""
    found = select(Job).where(Job.status == JobStatus.RUNNING, Job.worker_id == worker_id)
    return list(session.scalars(found.order_by(Job.started_at, Job.id)))


def of_joined() -> ColumnElement[bool]:
    """The condition that a joined worker holds a job."""
    return Job.worker_id.in_(select(Worker.id).where(Worker.kind == WorkerKind.JOINED))


def sharing_slots(worker: Worker | None) -> ColumnElement[bool]:
    """The condition that a job takes one of a worker's slots: those of a joined one are its own, local ones share."""
    if worker is not None and worker.kind == WorkerKind.JOINED:
        return Job.worker_id == worker.id
    return or_(Job.worker_id.is_(None), ~of_joined())


def why_waiting(session: Session, needs: Needs, here: Capacity | None, now: datetime, lost_after_s: float) -> str:
    """Return why no worker that is known can take a queued job with these needs; "" if one can.

    Args:
        here: what the workers of this machine offer; None if it runs no jobs.
    """
    others = [row for row in joined(session, now) if not is_silent(row, now, lost_after_s)]
    offers: Sequence[Capacity] = [*map(Capacity.of, others), *([here] if here else [])]
    if any(each.takes(needs) for each in offers):
        return ""
    if not needs:
        return "No machine runs jobs now."
    return f"No machine that is connected can take it: it needs {needs}."
