"""`python -m engine worker --join`: let this machine run jobs of an installation."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Annotated

import typer

from db import launches
from db.columns import utc_now
from db.models import WorkerKind
from db.session import Database
from db.workers import TAG
from engine.cli.commands import CommandFailed, app
from engine.core import logs
from engine.core.settings import settings
from engine.store.opening import open_store
from engine.work.joining import JoinedWorker, refuse_strangers
from engine.work.registration import new_worker
from engine.work.worker import kinds_of


@app.command()
def worker(
    join: Annotated[bool, typer.Option("--join", help="Run jobs of the installation of DATABASE_URL here.")] = False,
    slots: Annotated[int, typer.Option(min=1, max=64, help="Jobs that run at the same time.")] = 1,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that jobs can ask for; may be repeated."),
    ] = None,
    end_when_idle: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="End after so long without a job.")
    ] = None,
    launch: Annotated[
        str | None, typer.Option(hidden=True, help="The request of a launcher that this answers.")
    ] = None,
    end_with_stdin: Annotated[bool, typer.Option("--end-with-stdin", hidden=True)] = False,
):
    """Run jobs on this machine until it is stopped. Its jobs are then handed back to others."""
    if end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    if not join:
        raise CommandFailed("The app starts workers of its own machine by itself. Give --join to work for another's.")
    for each in tag or []:
        if not TAG.fullmatch(each):
            raise CommandFailed(f"A tag has up to 64 letters, digits, '.', '_' and '-'. Got {each!r}.")
    current = settings()
    if not current.store_url and not current.data_root.is_dir():
        raise CommandFailed(f"DATA_ROOT is no folder: {str(current.data_root)!r}. Set it to the one that the app uses.")
    database = Database(current.resolved_database_url)
    refuse_strangers(database, open_store(current))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logs.configure("worker", current)
    row = new_worker(WorkerKind.JOINED, slots, set(tag or []))
    offers = ", ".join([f"{slots} job{'s' * (slots > 1)} at a time", *row.gpus, *(f"tag {each}" for each in row.tags)])
    if launch is not None:
        row.id = launch
        with database.writing() as session:
            unwanted = launches.join(session, row, utc_now(), current.lost_after_s)
        if unwanted:
            raise CommandFailed(f"This worker is not needed. {unwanted}")
    typer.echo(f"{row.host} has joined: {offers}. Ctrl-C ends it.", err=True)
    JoinedWorker(database, current, row, kinds_of(row), end_when_idle).run()
    typer.echo("Ended. Its jobs were handed back.", err=True)


def _end_with_stdin() -> None:
    """Stop as by SIGTERM when the process that started this one has ended."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
