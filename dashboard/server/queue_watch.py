"""What runs beside the pages for as long as the app does: nothing that waits in the queue is left without a worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from dashboard.access import identity
from dashboard.server import connections, resources, web_log
from db import jobs, sweeps, warm, workers
from db.actors import APP
from db.columns import utc_now
from db.models import JobStatus
from engine.care.leftovers import UPLOADS_KEPT_S, uploads_by_age
from engine.store.local import LocalStore
from engine.work.registration import capacity_here

INTERVAL_S = 10.0

log = logging.getLogger("maskloom.dashboard")


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Migrate the database before the first page, then watch the queue until the app ends."""
    connections.limit()
    connections.answer_at_once()
    with identity.acting_as(APP):
        await anyio.to_thread.run_sync(_prepare)
        watch = asyncio.create_task(_watch())
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        with identity.acting_as(APP):
            await anyio.to_thread.run_sync(_end)


def _prepare() -> None:
    web_log.begin()
    resources.register_app()
    dismiss_warm_worker()  # it may run the code of an older app
    remove_old_uploads()


def _end() -> None:
    resources.end_preview_pool()
    dismiss_warm_worker()
    web_log.end()


def dismiss_warm_worker() -> None:
    """Tell the worker that waits with networks in memory, if there is one, to end."""
    with resources.database().writing() as session:
        warm.dismiss(session)


async def _watch() -> None:
    # A worker that died with the last app falls silent only after a while, so what is lost is looked for until then.
    give_up_s = resources.settings().lost_after_s + 2 * INTERVAL_S
    started = time.monotonic()
    while True:
        try:
            await anyio.to_thread.run_sync(look_after_queue, time.monotonic() - started < give_up_s)
            await anyio.to_thread.run_sync(look_after_launcher)
            await anyio.to_thread.run_sync(resources.remember_installation)
        except Exception:
            log.exception("The queue could not be looked after; the next try is in %.0f s.", INTERVAL_S)
        await asyncio.sleep(INTERVAL_S)


def look_after_queue(with_lost: bool) -> bool:
    """Start a worker if jobs wait that this machine can take and fewer than MAX_WORKERS run on it.

    Returns whether one was started.

    Args:
        with_lost: also put jobs whose worker has fallen silent back into the queue; those of joined workers always are.
    """
    current, database, now = resources.settings(), resources.database(), utc_now()
    with database.reading() as session:
        of_joined = bool(workers.joined(session, now))
    if with_lost or of_joined:
        requeue = jobs.requeue_lost if with_lost else jobs.requeue_lost_of_joined
        with database.writing() as session:
            requeued = requeue(session, now, current.lost_after_s)
        if requeued:
            log.warning("%d lost job(s) put back into the queue.", requeued)
    capacity = capacity_here(current)
    with database.reading() as session:
        waiting = capacity is not None and jobs.waiting_without_worker(
            session, now, current.lost_after_s, current.max_workers, capacity
        )
        queued = [job.id for job in jobs.active(session) if job.status == JobStatus.QUEUED] if waiting else []
        idle = capacity is not None and jobs.running(session, now, current.lost_after_s) == 0
        if not queued and idle and sweeps.waiting(session):
            queued = [""]  # the worker that it starts begins the next trial
    if queued:
        resources.launcher().submit(queued[0])
    return bool(queued)


def look_after_launcher() -> None:
    """Start workers on other machines for jobs that none can take, where LAUNCHER starts any."""
    resources.launcher().look_after(resources.database())


def remove_old_uploads(kept_s: float = UPLOADS_KEPT_S) -> int:
    """Delete the folders of uploads that nobody imported and that are older than `kept_s`. Returns how many."""
    removed: set[str] = set()
    for files in (resources.artifacts(), LocalStore(resources.settings().data_root)):  # stored, and still arriving
        old = [key for key, silent_s in uploads_by_age(files, time.time()) if silent_s > kept_s]
        for key in old:
            files.delete(key)
        removed |= set(old)
    return len(removed)
