"""Whether a database belongs to the files beside it.

A database that is gone, empty, older or another installation's would make everything in the folders look left over. So
the files keep a mark, the last line of the audit log, and a database has to remember that line. Files of a version
without a mark belong to a database that knows at least one of their folders.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.store import keys as stored
from engine.store.base import MissingFile, Store

if TYPE_CHECKING:
    from db.inventory import Inventory

SETTLED = timedelta(minutes=10)
"""How old a line has to be to become the mark: a power cut can undo what SQLite wrote last."""


log = logging.getLogger("maskloom.care")


class NotTogether(Exception):
    """The database does not belong to the files. The message is a sentence with the way back."""


def way_back(place: str) -> str:
    """Return what to do about a database that does not belong to the files of DATA_ROOT or STORE_URL."""
    empty = f"{place} to {'an empty folder' if place == 'DATA_ROOT' else 'an unused prefix'}"
    return (
        f"Stop Maskloom and put the right database back, or restore a backup: set {empty} and run "
        f"python -m engine restore BACKUP. To start with nothing, set {empty}."
    )


def fault(inventory: Inventory, files: Store) -> str:
    """Return why the database is not the one of these files, with the way back; empty if it is."""
    folders = [name for place in stored.OWNERS for name in files.listing(place).folders if stored.is_id(name)]
    back = way_back(files.place)
    if not inventory.has_tables():
        if folders:
            return f"The folders are filled, but the database is missing or empty. {back}"
        if files.place == "STORE_URL" and start_of(files):
            return f"STORE_URL is that of another installation, and the database of this one is empty. {back}"
        return ""
    mark = _mark(files)
    if mark is not None and not inventory.remembers(mark):
        return (
            "The database is older than the files or of another installation: it lacks what was done here before. "
            f"{back} If it is the right one after all, delete {stored.mark_key()} in {files.place}."
        )
    if mark is None and folders and not inventory.remembers_any(folders):
        return f"The database knows none of the folders beside it. {back}"
    return ""


def open_together(inventory: Inventory, files: Store, migrate: Callable[[], None], now: datetime) -> None:
    """Bring the tables up to date, if the database belongs to the files, and renew the mark.

    Raises:
        NotTogether: it does not belong to them. Nothing was changed.
        DatabaseRefused: from `migrate`.
    """
    if sentence := fault(inventory, files):
        raise NotTogether(sentence)
    migrate()
    renew_mark(inventory, files, now)


def renew_mark(inventory: Inventory, files: Store, now: datetime) -> None:
    """Store the newest settled line of the audit log beside the files."""
    line = inventory.last_line(now - SETTLED)
    if line is None:
        return
    mark = _mark(files)
    if mark is not None and not inventory.remembers(mark):
        log.error("The files have become those of another installation. Nothing of it is overwritten.")
    elif line != mark:
        try:
            files.write(stored.mark_key(), json.dumps(line).encode())
        except OSError as error:
            log.warning("The mark of the installation could not be renewed: %s", error)


def _mark(files: Store) -> dict[str, Any] | None:
    """Return the stored mark; None if there is none that can be read."""
    with contextlib.suppress(MissingFile, ValueError):
        mark = json.loads(files.read(stored.mark_key()))
        return mark if isinstance(mark, dict) and isinstance(mark.get("line"), int) else None
    return None


def remember_start(files: Store, start: str) -> None:
    """Store the id that the database has of the app's start: by it workers that join know that this is its folder."""
    try:
        files.write(stored.app_key(), json.dumps({"start": start}).encode())
    except OSError as error:
        log.warning("No worker can join: the app's start could not be stored: %s", error)


def start_of(files: Store) -> str:
    """Return the id of the app's last start that these files have; "" if they have none."""
    with contextlib.suppress(MissingFile, ValueError, KeyError, TypeError):
        return str(json.loads(files.read(stored.app_key()))["start"])
    return ""
