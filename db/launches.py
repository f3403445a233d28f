"""Workers that a launcher requests on other machines: how many are needed, and what became of those requested.

These rows are all that remembers a request, so an app that is restarted requests nothing twice (docs/adr/0018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from db import jobs, sweeps, workers
from db.columns import utc_now
from db.models import Job, JobKind, JobStatus, Launch, Sweep, Worker, WorkerState
from db.session import changed_rows
from db.workers import Capacity, Needs

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=30)
"""Until the next try after one that failed; each further pause is twice as long."""
KEPT = timedelta(days=1)
LOOKED_AT = 1000
"""Jobs at the head of the queue that are considered: far more than workers are requested at once."""


@dataclass(frozen=True)
class Rules:
    """What the settings say: no more than `at_most` workers at once, each given up unless it joins in `timeout_s`.

    Workers that are started have `tags`.
    """

    launcher: str
    at_most: int
    timeout_s: float
    lost_after_s: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Offer:
    slots: int
    capacity: Capacity

    def takes(self, needs: Needs) -> bool:
        return self.slots > 0 and self.capacity.takes(needs)

    def less(self, needs: Needs) -> _Offer:
        left = replace(self.capacity, memory_mb=self.capacity.memory_mb - needs.memory_mb)
        return _Offer(self.slots - 1, left)


def _pending() -> tuple[ColumnElement[bool], ...]:
    return Launch.joined_at.is_(None), Launch.failed_at.is_(None)


def pending(session: Session) -> list[Launch]:
    """Return the workers that were requested and have neither joined nor been given up, oldest first."""
    return list(session.scalars(select(Launch).where(*_pending()).order_by(Launch.requested_at, Launch.id)))


def failures(session: Session, now: datetime) -> dict[Needs, Launch]:
    """Return {needs: the last worker for them that could not be started}, the last one first.

    Those from before one joined that could have met the needs are gone, and so are those that are a day old.
    """
    recent = select(Launch).where(Launch.failed_at >= now - KEPT).order_by(Launch.failed_at.desc(), Launch.id)
    found: dict[Needs, Launch] = {}
    for row in session.scalars(recent):
        found.setdefault(Needs.of(row), row)
    return found


def next_try_at(failed: Launch) -> datetime:
    """Return the moment from which the next worker for the same needs is requested after one that failed."""
    assert failed.failed_at is not None
    pause = FIRST_PAUSE * int(2 ** min(failed.attempt - 1, 30))
    return failed.failed_at + min(pause, LONGEST_PAUSE)


def launched(session: Session, now: datetime, lost_after_s: float) -> list[Worker]:
    """Return the workers at work that a launcher requested."""
    return [
        row
        for row in session.scalars(select(Worker).join(Launch, Launch.id == Worker.id))
        if not workers.is_silent(row, now, lost_after_s)
    ]


def needed(session: Session, rules: Rules, here: Capacity | None, slots_here: int, now: datetime) -> list[Needs]:
    """Return the needs of the queued jobs that nothing at work or requested has a free slot for, oldest first.

    Args:
        here: what a worker of the app's machine offers, of which `slots_here` can run; None if it runs no jobs.
    """
    waiting = _waiting(session, here is not None)
    if not waiting:
        return []
    offers = _offers(session, rules, here, slots_here, now)
    missing = []
    for needs in waiting:
        place = next((number for number, offer in enumerate(offers) if offer.takes(needs)), None)
        if place is None:
            missing.append(needs)
        else:
            offers[place] = offers[place].less(needs)
    return [needs for needs in missing if needs.tag in ("", *rules.tags)]


def _waiting(session: Session, local: bool) -> list[Needs]:
    """Return what waiting jobs need, those that may leave the app's machine, and sweeps that wait for a next trial."""
    queued = select(Job).where(Job.status == JobStatus.QUEUED, Job.needs_local.is_(False), Job.kind != JobKind.WARM)
    found = [Needs.of(job) for job in session.scalars(queued.order_by(Job.created_at, Job.id).limit(LOOKED_AT))]
    if not found and not local:  # where the app's machine runs jobs, it begins the next trial
        found = [
            Needs(**session.get_one(Sweep, sweep_id).needs)
            for sweep_id in sweeps.at_work(session)
            if sweeps.needs_attention(session, session.get_one(Sweep, sweep_id))
        ]
    return found


def _offers(session: Session, rules: Rules, here: Capacity | None, slots_here: int, now: datetime) -> list[_Offer]:
    """Return the free slots, those with the least to offer first, so that a GPU is kept for who needs it."""
    offers = []
    if here is not None:
        used_mb = jobs.asked_memory_mb(session, now, rules.lost_after_s)
        free = replace(here, memory_mb=here.memory_mb - used_mb)
        offers.append(_Offer(slots_here - jobs.running(session, now, rules.lost_after_s), free))
    for row in workers.joined(session, now):
        if row.state == WorkerState.ACTIVE and not workers.is_silent(row, now, rules.lost_after_s):
            held = workers.held(session, row.id)
            used_mb = sum(job.needs_memory_mb for job in held)
            free = replace(Capacity.of(row), memory_mb=row.memory_mb - used_mb)
            offers.append(_Offer(row.slots - len(held), free))
    for launch in pending(session):
        gpus = ("requested",) if launch.needs_gpu else ()
        offers.append(_Offer(1, Capacity(launch.needs_memory_mb, gpus, rules.tags, joined=True)))
    return sorted(offers, key=lambda offer: (bool(offer.capacity.gpus), len(offer.capacity.tags)))


def request(session: Session, rules: Rules, here: Capacity | None, slots_here: int, now: datetime) -> list[Launch]:
    """Add the workers to start now, in a transaction that writes: no two apps request the same.

    After a failure one worker for the same needs is tried at a time, and not before its pause has passed. Needs that no
    machine has therefore hold up no other job.
    """
    session.execute(delete(Launch).where(Launch.requested_at < now - KEPT, ~_works()))
    give_up_late(session, rules, now)
    give_up_dead(session, rules, now)
    failed, waiting = failures(session, now), pending(session)
    asked = {Needs.of(row) for row in waiting}
    room = rules.at_most - len(waiting) - len(launched(session, now, rules.lost_after_s))
    # Others first: what has failed may fail again
    missing = sorted(needed(session, rules, here, slots_here, now), key=lambda needs: needs in failed)
    rows: list[Launch] = []
    for needs in missing:
        last = failed.get(needs)
        if len(rows) >= room or (last and (needs in asked or now < next_try_at(last))):
            continue
        asked.add(needs)
        rows.append(
            Launch(
                launcher=rules.launcher,
                needs_gpu=needs.gpu,
                needs_memory_mb=needs.memory_mb,
                needs_tag=needs.tag,
                at_most=rules.at_most,
                attempt=last.attempt + 1 if last else 1,
                requested_at=now,
            )
        )
    session.add_all(rows)
    session.flush()
    return rows


def _works() -> ColumnElement[bool]:
    return Launch.id.in_(select(Worker.id))


def give_up_late(session: Session, rules: Rules, now: datetime) -> int:
    """Give up those that have not joined in time. Returns how many."""
    minutes = max(round(rules.timeout_s / 60), 1)
    sentence = (
        f"A worker that was requested has not joined within {minutes} minute{'s' * (minutes > 1)} (LAUNCH_TIMEOUT_S)."
    )
    late = Launch.requested_at < now - timedelta(seconds=rules.timeout_s)
    return changed_rows(session, update(Launch).where(*_pending(), late).values(failed_at=now, error=sentence))


def give_up_dead(session: Session, rules: Rules, now: datetime) -> None:
    """Give up those that joined and fell silent before they had a job: the next would most likely do so, too."""
    had_none = ~select(Job.id).where(Job.worker_id == Launch.id).exists()
    joined = select(Launch, Worker).join(Worker, Launch.id == Worker.id).where(Launch.joined_at.is_not(None), had_none)
    for launch, worker in session.execute(joined):
        if workers.is_silent(worker, now, rules.lost_after_s):
            launch.joined_at, launch.failed_at = None, now
            launch.error = f"The worker on {worker.host} that was requested fell silent before it had a job."


def fail(session: Session, launch_id: str, sentence: str) -> bool:
    """Store that a requested worker could not be started. False if it has joined or was given up before."""
    this = update(Launch).where(Launch.id == launch_id, *_pending())
    return changed_rows(session, this.values(failed_at=utc_now(), error=sentence)) == 1


def join(session: Session, worker: Worker, now: datetime, lost_after_s: float) -> str:
    """Register a requested worker, whose id is that of its request. Returns why it is not wanted, "" if it is.

    One that comes late is welcome as long as no more than the limit work at once. One that a scheduler starts again
    after its machine died takes the place of the silent one.
    """
    launch = session.get(Launch, worker.id)
    if launch is None:
        return "It was requested too long ago, or the worker of this request has ended."
    at_work = [row.id for row in launched(session, now, lost_after_s)]
    if worker.id in at_work:
        return "The command has started it twice."
    if len(at_work) >= launch.at_most:
        session.delete(launch)
        return f"It comes late: {launch.at_most} workers, as many as LAUNCH_LIMIT allows, were started in its place."
    needs, capacity = Needs.of(launch), Capacity.of(worker)
    if not capacity.takes(needs):
        why = f"The worker on {worker.host} was started for a job that needs {needs}, which it does not offer."
        launch.joined_at, launch.failed_at, launch.error = None, now, why
        return why
    launch.joined_at, launch.failed_at, launch.error = now, None, ""
    for failed in session.scalars(select(Launch).where(Launch.failed_at.is_not(None), Launch.id != launch.id)):
        if capacity.takes(Needs.of(failed)):
            session.delete(failed)
    workers.beat(session, worker)
    session.get_one(Worker, worker.id).state = WorkerState.ACTIVE
    return ""


def waiting_words(session: Session, needs: Needs, now: datetime) -> str:
    """Return what a job with these needs waits for that a requested worker could take, in a sentence."""
    failed = failures(session, now).get(needs)
    if failed is not None:
        return failed.error
    return "A worker was requested and has not joined yet." if pending(session) else "A worker will be requested."
