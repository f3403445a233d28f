"""`python -m engine doctor`: check the database against the files, and repair what can be repaired."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from db.columns import utc_now
from db.inventory import Inventory
from db.repair import repairing
from db.session import Database, sqlite_file
from engine.care.belonging import way_back
from engine.care.checkup import check
from engine.care.findings import Report
from engine.care.repair import repair
from engine.cli.commands import AsJson, CommandFailed, app, print_result
from engine.core import logs
from engine.core.settings import Settings, settings
from engine.store.base import Store
from engine.store.opening import open_store

log = logging.getLogger("maskloom.doctor")


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Check only that files exist, not their content.")] = False,
    repairs: Annotated[
        bool, typer.Option("--repair", help="Repair what can be repaired without losing anything.")
    ] = False,
    as_json: AsJson = False,
):
    """Check the database against the files. Exit status 0: no fault; 1: faults remain."""
    current = settings()
    files = open_store(current, trusts_cache=False)
    database = _opened(current, files)
    report = _checked(database, files, current, quick, as_json)
    done: list[str] = []
    if repairs and not report.clean:
        logs.configure("cli", current)
        steps = repair(
            report,
            files,
            partial(repairing, database, current.lost_after_s),
            database.migrate,
            f"{utc_now():%Y-%m-%dT%H%M%S}",
        )
        for sentence in steps:
            done.append(sentence)
            log.info("%s", sentence, extra={"event": "repair"})
            if not as_json:
                typer.echo(sentence)
        report = _checked(database, files, current, quick, as_json)
    print_result(report.as_dict() | {"done": done}, as_json, "\n".join(report.sentences()))
    database.close()
    if not report.clean:
        raise typer.Exit(1)


def _opened(current: Settings, files: Store) -> Database:
    """Open the database as it is, without creating or migrating it: a check changes nothing."""
    file = sqlite_file(current.resolved_database_url)
    if file and not file.is_file():
        back = way_back(files.place)
        raise CommandFailed(f"There is no database {str(file)!r}. Is DATA_ROOT the right folder? If it is: {back}")
    return Database(current.resolved_database_url)


def _checked(database: Database, files: Store, current: Settings, quick: bool, quiet: bool) -> Report:
    columns = (TextColumn("Looking at files: {task.completed:,.0f}"), TimeElapsedColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        return check(
            Inventory(database),
            files,
            utc_now(),
            current.lost_after_s,
            quick,
            lambda count: bar.advance(task, count),
        )
