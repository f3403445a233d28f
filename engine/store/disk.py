"""Files of a local disk: written whole or not at all, and checked for damage."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"
"""In the name of every file or folder that is not finished."""

CACHE, WORK = "cache", "work"
"""Folders in DATA_ROOT with an object store: what was read or written lately, and what is being written."""


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
