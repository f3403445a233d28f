"""`python -m engine …`: the same jobs and the same database as the browser."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; an error ends as one sentence on standard error and exit status 1."""
    from engine.cli.every_command import app  # all commands are on it

    try:
        app()
    except Exception as error:
        if (sentence := sentence_of(error) or _damage()) is None:
            raise
        print(f"Error: {sentence}", file=sys.stderr)
        sys.exit(1)


def _damage() -> str | None:
    """Return what is wrong with the rows of the database, which then explains whatever failed; None if nothing is."""
    from contextlib import closing

    from db.inventory import Inventory
    from db.session import Database
    from engine.care.checkup import database_findings
    from engine.core.settings import settings
    from engine.store.opening import open_store

    try:
        current = settings()
        with closing(Database(current.resolved_database_url)) as database:
            found = list(database_findings(Inventory(database), open_store(current), quick=True))
    except Exception:  # the first error says more than another one
        return None
    return " ".join([found[0].sentence, *(f"The first: {item}." for item in found[0].items[:1])]) if found else None


def sentence_of(error: Exception) -> str | None:
    """Return what an error tells a person; None for one that nobody foresaw."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    from db.session import LONGEST_QUOTE, damaged
    from engine.core.system_errors import FULL, is_full_disk

    if is_full_disk(error.orig if isinstance(error, DatabaseError) and error.orig else error):
        return f"{FULL} Free some space, then try again."
    if isinstance(error, OperationalError):
        return f"The database cannot be used: {error.orig}."
    if isinstance(error, DatabaseError):
        return damaged(error)
    if type(error).__module__.partition(".")[0] in ("engine", "db"):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{str(error.filename)[:LONGEST_QUOTE]!r} cannot be used: {error.strerror}."
    return None
