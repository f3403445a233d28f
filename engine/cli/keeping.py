"""`python -m engine backup` and `restore`: one file that holds an installation, written while it runs."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from db.columns import utc_now
from db.inventory import Inventory
from db.repair import end_all
from db.session import Database, newer, sqlite_file
from engine.care.backup import BackupFailed, write_backup
from engine.care.findings import counted
from engine.care.restore import restore_files
from engine.cli.commands import AsJson, Installation, app, print_result
from engine.core.settings import settings, sqlite_url
from engine.store.opening import open_store

CUT_OFF = "It ran or waited when the backup was made. Resume it: what was finished is kept."


@app.command()
def backup(
    file: Path,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Leave the database out, when it is backed up with its own tools.")
    ] = False,
    as_json: AsJson = False,
):
    """Write database, images, masks, models and job logs into one zip. Jobs may run meanwhile."""
    installation = Installation()
    live = Inventory(installation.database)
    if not live.is_sqlite and not files_only:
        raise BackupFailed(
            f"The database is {live.dialect}: back it up with its own tool (pg_dump for PostgreSQL), and then the "
            "files with --files-only."
        )
    database = sqlite_file(installation.settings.resolved_database_url)
    with _clean_exit(), _bar("Backing up", as_json) as progress:
        made = write_backup(
            file,
            installation.files,
            live,
            None if files_only or database is None else _snapshot(database),
            utc_now(),
            progress,
        )
    result = {"file": str(file), "files": made.files, "bytes": made.bytes, "gone": list(made.gone)}
    lines = [f"Backed up {counted(made.files, 'file')}, {made.bytes / 1e6:,.1f} MB, to {file}."]
    if made.runs_at_work:
        lines.append(
            f"{counted(made.runs_at_work, 'run was', 'runs were')} running; after a restore it can be resumed."
        )
    lines += [f"  deleted before it could be read: {key}" for key in made.gone]
    print_result(result, as_json, "\n".join(lines))
    installation.database.close()


@app.command()
def restore(file: Path, as_json: AsJson = False):
    """Restore a backup into an empty DATA_ROOT. Its unfinished jobs are stopped and can be resumed."""
    current = settings()
    ended: list[int] = []
    with _clean_exit(), _bar("Restoring", as_json) as progress:
        manifest = restore_files(
            file,
            open_store(current),
            sqlite_file(current.resolved_database_url),
            lambda path: ended.append(ready(path)),
            progress,
        )
    stopped = sum(ended)
    result = {"files": len(manifest["files"]), "stopped": stopped, "made_at": manifest["made_at"]}
    place = current.store_url or current.data_root
    lines = [f"Restored {counted(len(manifest['files']), 'file')} of {manifest['made_at']} to {place}."]
    if stopped:
        lines.append(f"{counted(stopped, 'job was', 'jobs were')} unfinished; resume them in the browser.")
    if gone := manifest.get("gone"):
        lines.append(f"{counted(len(gone), 'file was', 'files were')} missing when it was made; `doctor` lists them.")
    print_result(result, as_json, "\n".join(lines))


@contextmanager
def _clean_exit() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C, so that no partial file is left."""

    def end(*_: Any) -> None:
        raise SystemExit(1)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _snapshot(path: Path) -> Callable[[Path], AbstractContextManager[Inventory]]:
    """Return a function that copies the SQLite database to a path, at one moment, and opens the copy to read."""

    @contextmanager
    def copied(target: Path) -> Iterator[Inventory]:
        with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)  # in one step: writers continue in the WAL
        database = Database(sqlite_url(target))
        try:
            yield Inventory(database)
        finally:
            database.close()

    return copied


def ready(path: Path) -> int:
    """Check a restored database, migrate it, and end its unfinished jobs. Returns how many jobs that were."""
    database = Database(sqlite_url(path))
    inventory = Inventory(database)
    try:
        if faults := inventory.faults(quick=False):
            raise BackupFailed(f"The database in the backup cannot be used: {faults[0]}.")
        version, _ = inventory.schema()
        if version is None:
            raise BackupFailed("The database in the backup has no tables.")
        if not inventory.knows_schema(version):
            raise BackupFailed(newer(version))
        database.migrate()
        with database.writing() as session:
            return end_all(session, CUT_OFF)
    finally:
        database.close()


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show bytes done and time left on a terminal, and nothing elsewhere."""
    console = Console(file=sys.stderr)
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
