"""`python -m engine …`: the same jobs and the same database as the browser."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; an error ends as one sentence on standard error and exit status 1."""
    from engine.cli.every_command import app  # all commands are on it

    try:
        app()
    except Exception as error:
        if (sentence := sentence_of(error)) is None:
            raise
        print(f"Error: {sentence}", file=sys.stderr)
        sys.exit(1)


def sentence_of(error: Exception) -> str | None:
    """Return what an error tells a person; None for one that nobody foresaw."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    from db.session import damaged
    from engine.core.system_errors import FULL, is_full_disk

    if is_full_disk(error.orig if isinstance(error, DatabaseError) and error.orig else error):
        return f"{FULL} Free some space, then try again."
    if isinstance(error, OperationalError):
        return f"The database cannot be used: {error.orig}."
    if isinstance(error, DatabaseError):
        return damaged(error)
    return str(error) if type(error).__module__.partition(".")[0] in ("engine", "db") else None
