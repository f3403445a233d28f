"""`python -m engine worker --join`: let this machine run jobs of an installation."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

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
):
    """Run jobs on this machine until it is stopped. Its jobs are then handed back to others."""
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
    typer.echo(f"{row.host} has joined: {offers}. Ctrl-C ends it.", err=True)
    JoinedWorker(database, current, row, kinds_of(row)).run()
    typer.echo("Ended. Its jobs were handed back.", err=True)
