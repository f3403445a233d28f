"""Following a job from the command line: a progress bar for people, Ctrl-C as a soft stop."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from db import jobs, workers
from db.columns import utc_now
from db.models import Job, JobStatus
from db.session import Database
from engine.core.settings import Settings
from engine.work.launchers import launcher
from engine.work.launchers.base import Launcher
from engine.work.progress_words import progress_words
from engine.work.registration import capacity_here, taken_here, why_waiting

POLL_S = 0.2
LOOK_AFTER_WORKERS_S = 5.0


def follow(database: Database, current: Settings, job_id: str, quiet: bool) -> Job:
    """Start a worker for a job and return the job when it has ended. Ctrl-C requests a stop and keeps waiting.

    `quiet` shows no bar. A job whose worker died is requeued and gets another.
    """
    starter = launcher(current)
    console = Console(file=sys.stderr)
    with database.reading() as session:
        needs = workers.Needs.of(session.get_one(Job, job_id))
    why = _say_why(console, database, current, needs, "")
    if taken_here(current, needs):
        starter.submit(job_id)
    starter.look_after(database)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task("Waiting for a worker", total=None)
        looked_at = time.monotonic()
        while True:
            try:
                with database.reading() as session:
                    job = session.get_one(Job, job_id)
                if job.status.ended:
                    return job
                waiting = "Working" if job.status == JobStatus.RUNNING else "Waiting for a worker"
                text = progress_words(jobs.Progress.of(job)) or waiting
                bar.update(task, description=text, completed=job.progress_done, total=job.progress_total or None)
                if time.monotonic() - looked_at > LOOK_AFTER_WORKERS_S:
                    looked_at = time.monotonic()
                    _look_after_workers(database, current, starter, job_id)
                    if job.status == JobStatus.QUEUED:
                        why = _say_why(console, database, current, needs, why)
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                with database.writing() as session:
                    jobs.request_stop(session, job_id)
                console.print("Stopping; what is finished is kept.")


def _say_why(console: Console, database: Database, current: Settings, needs: workers.Needs, said: str) -> str:
    """Print why no worker can take a job, unless that was said last. Returns what was said last."""
    with database.reading() as session:
        why = why_waiting(session, current, needs)
    if why in ("", said):
        return said
    console.print(why, markup=False)  # it may quote what another program printed
    return why


def _look_after_workers(database: Database, current: Settings, starter: Launcher, job_id: str) -> None:
    now, offered = utc_now(), capacity_here(current)
    with database.writing() as session:
        jobs.requeue_lost(session, now, current.lost_after_s)
        waiting = jobs.waiting_without_worker(session, now, current.lost_after_s, current.max_workers, offered)
    if waiting:
        starter.submit(job_id)
    starter.look_after(database)
