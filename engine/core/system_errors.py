"""What errors of the system, of TensorFlow and of databases mean: a full disk, a server that does not answer."""

from __future__ import annotations

import errno
import os

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors for a full disk, and for a limit on disk use or on the size of a file."""
FULL = "The disk is full, or a limit on disk use or file size is reached."


def is_full_disk(error: BaseException) -> bool:
    """Whether an error of Python, TensorFlow or a database means a full disk; for SQLite a quota is an I/O error."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return True
    return (
        os.strerror(errno.ENOSPC) in str(error)
        or sqlite_says(error, "SQLITE_FULL", "SQLITE_IOERR_WRITE")
        or sqlstate(error) == "53100"
    )


def sqlite_says(error: BaseException, *names: str) -> bool:
    """Whether the name of an error of SQLite begins with one of these."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(names)


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code of an error, "" for errors of others."""
    return str(getattr(error, "sqlstate", None) or "")


def is_unreachable_server(error: BaseException) -> bool:
    """Whether an error means that PostgreSQL's server ended the connection, is not there, or starts."""
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    return "psycopg.OperationalError" in kinds and sqlstate(error)[:3] in ("", "080", "57P")
