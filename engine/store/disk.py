"""Files of a local disk: written whole or not at all, checked for damage, and errors that mean a full disk."""

from __future__ import annotations

import errno
import os
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors for a full disk, and for a limit on disk use or on the size of a file."""

FULL = "The disk is full, or a limit on disk use or file size is reached."

PART = ".part"
"""In the name of every file or folder that is not finished."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to. When the block succeeds, it is flushed to disk and renamed to
    `target`; otherwise it is deleted.
    """
    beside = target.with_name(f"{target.stem}.{uuid.uuid4().hex[:8]}{PART}{target.suffix}")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def zip_is_whole(path: Path) -> bool:
    """Whether a model or a training state exists and is undamaged: both are zips with a checksum over every byte."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # damaged zips raise anything from BadZipFile to zlib.error and NotImplementedError
        return False


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
