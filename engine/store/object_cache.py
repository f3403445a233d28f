"""The files of an object store that this machine has read or written lately, each with the ETag of its version."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from engine.store.disk import PART

SPARED_S = 300.0
"""A file that was used so lately is not deleted: a response may still be sent from it."""
FRESH_S = 60.0
"""How exact the time of the last use is."""
SLACK = 0.05
"""The share of the limit that a process adds until it looks again how large the cache is."""

LOOK_EVERY_S = 600.0
"""A process that adds its first file looks at once if no other has for so long."""
STAMP = "trimmed"

_added: dict[Path, int] = {}
_trimming = threading.Lock()


class Kept(NamedTuple):
    """One version of a file in the cache."""

    tag: str
    path: Path

    def used(self) -> Path:
        """Return the path, and remember that it was used now."""
        with suppress(FileNotFoundError):
            if time.time() - self.path.stat().st_mtime > FRESH_S:
                os.utime(self.path)
        return self.path


@dataclass(frozen=True)
class ObjectCache:
    """A file lies at `<folder>/<key>/<ETag>@<bytes>@<name>`; files are complete, the least recently used go first."""

    root: Path
    url: str
    limit_bytes: int

    @property
    def folder(self) -> Path:
        """The folder of this object store, so that another one never answers in its place."""
        return self.root / hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def newest(self, key: str) -> Kept | None:
        """Return the version of a file that came last, None if there is none."""
        try:
            with os.scandir(self.folder / key) as entries:
                kept = [entry for entry in entries if _is_whole(entry)]
            found = max(kept, key=lambda entry: entry.stat().st_ctime)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return Kept(unquote(found.name.partition("@")[0]), Path(found.path))

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Yield a path to write a version to, for `keep`. What is left there is deleted at the end of the block."""
        beside = self.folder / f"{uuid.uuid4().hex}{PART}"
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
        finally:
            beside.unlink(missing_ok=True)

    def keep(self, key: str, tag: str, beside: Path) -> Path:
        """Move a version of a file into the cache; return its path there."""
        size = beside.stat().st_size
        os.utime(beside)  # a file that is moved in may be older
        target = self.folder / key / f"{quote(tag, safe='')}@{size}@{key.rpartition('/')[2]}"
        _moved(beside, target)
        with suppress(OSError):  # deleted by another process, or open in one on Windows
            for entry in target.parent.iterdir():
                if entry != target and time.time() - entry.stat().st_mtime > SPARED_S:
                    entry.unlink()
        self._count(size)
        return target

    def drop(self, key: str) -> None:
        """Delete all versions of a file, or of all below a folder."""
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def _count(self, added: int) -> None:
        # Processes that end before they have added much count together.
        due = self.root not in _added and time.time() - _modified(self.root / STAMP) > LOOK_EVERY_S
        _added[self.root] = _added.get(self.root, 0) + added
        if (due or _added[self.root] > self.limit_bytes * SLACK) and _trimming.acquire(blocking=False):
            try:
                _added[self.root] = 0
                self.trim()
            finally:
                _trimming.release()

    def trim(self) -> None:
        """Delete what was not used for longest until the cache is within its limit."""
        (self.root / STAMP).touch()
        found, total, now = [], 0, time.time()
        for folder, _, names in os.walk(self.root):
            for name in names if Path(folder) != self.root else []:
                with suppress(FileNotFoundError):
                    state = Path(folder, name).stat()
                    total += state.st_size
                    found.append((state.st_mtime, state.st_size, Path(folder, name)))
        for used_at, size, path in sorted(found) if total > self.limit_bytes else []:
            if total <= self.limit_bytes or now - used_at < SPARED_S:
                break
            with suppress(OSError):
                if path.stat().st_mtime == used_at:  # and not used while the others were looked at
                    path.unlink()
                    path.parent.rmdir()
            total -= size


def _is_whole(entry: os.DirEntry[str]) -> bool:
    """Whether a version has its size: after a power cut, a file that was just written may be empty."""
    _, _, size = entry.name.rpartition("@")[0].rpartition("@")
    return size.isdecimal() and entry.stat().st_size == int(size)


def _moved(beside: Path, target: Path) -> None:
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.replace(target)
            return
        except FileNotFoundError:  # another process has just deleted the folder, which was empty
            if not beside.exists():
                raise
        except PermissionError:  # on Windows, where a process reads the same version
            if not target.exists():
                raise
            return


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
