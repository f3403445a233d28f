"""`python -m engine …`: the same jobs and the same database as the browser."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; an error ends as one sentence on standard error and exit status 1."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    from db.session import damaged
    from engine.cli.every_command import app  # all commands are on it

    try:
        app()
    except OperationalError as error:
        print(f"Error: The database cannot be used: {error.orig}.", file=sys.stderr)
        sys.exit(1)
    except DatabaseError as error:
        print(f"Error: {damaged(error)}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("engine", "db"):
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
