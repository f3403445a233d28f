"""Folders and logs that are changed in place on this machine and stored in an object store while that happens."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.store.base import MissingFile, StoreFailed
from engine.store.disk import PART, WORK

if TYPE_CHECKING:
    from engine.store.objects import ObjectStore

THREADS = 8
LOG_EVERY_S = 2.0
LOG_SHARE = 0.1
"""At most this share of the time is spent on storing a log that grows."""
STATE_SUFFIXES = (".npz", "last.keras")
"""What a training is resumed from: several times as large as its model, and new after each epoch."""
STATE_SHARE = 0.03
"""At most this share of a training's time is spent on storing its state."""
FIRST_STATE_S = 15.0
"""A training that ends sooner is as quickly repeated as resumed."""

log = logging.getLogger("maskloom.store")

_State = tuple[int, int, int]
"""What tells a file from another: inode, time of the last change in ns, bytes."""

_open: dict[tuple[str, str], _Workspace] = {}


@contextmanager
def opened(files: ObjectStore, key: str) -> Iterator[Path]:
    """Yield a folder with what is stored below `key`; what changed there is stored when the block ends.

    Whoever opens it takes it over: one that was opened before, by a job that counted as lost, stores nothing more.
    """
    place, _, name = key.rpartition("/")
    files.working.delete_unfinished(place, name, subfolders=False)  # of a killed attempt
    with files.working.scratch(key) as folder:
        workspace = _Workspace(files, key, folder)
        workspace.fill()
        _open[files.url, key] = workspace
        try:
            yield folder
        finally:
            if _open.get((files.url, key)) is workspace:
                del _open[files.url, key]
            workspace.close()


def publish(files: ObjectStore, key: str) -> None:
    """Store what has changed in the workspace that is open as `key`."""
    if workspace := _open.get((files.url, key)):
        workspace.store()


class _Workspace:
    def __init__(self, files: ObjectStore, key: str, folder: Path) -> None:
        self._files, self._key, self._folder = files, key, folder
        self._stored: dict[str, _State] = {}
        self._states_from = time.monotonic() + FIRST_STATE_S
        self._owner, self._mark = f"{WORK}/{key}", uuid.uuid4().hex.encode()

    def fill(self) -> None:
        self._files.put(self._owner, self._mark)
        paths = {path: self._folder / path[len(self._key) + 1 :] for path in self._files.objects(self._key)}
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._files.download, paths, paths.values()))
        self._stored = self._states()

    def store(self, whole: bool = False) -> None:
        """Store what has changed; states of a training only as often as takes little of its time, unless `whole`.

        Raises:
            StoreFailed: another process has opened this workspace since.
        """
        if self._files.content(self._owner) != self._mark:
            raise StoreFailed("Another worker has taken this job over. Nothing more of this attempt is stored.")
        now = self._states()
        if not whole and time.monotonic() < self._states_from:
            now = {name: state for name, state in now.items() if not _is_state(name)}
            now |= {name: state for name, state in self._stored.items() if _is_state(name)}
        before = {state: name for name, state in self._stored.items()}
        changed = [name for name, state in now.items() if self._stored.get(name) != state]
        changed = [name for name in changed if not self._copied(before.get(now[name]), name)]
        # The state of a training last: a model that is newer than the state only means that an epoch is repeated.
        states = [name for name in changed if _is_state(name)]
        self._upload([name for name in changed if name not in states])
        began = time.monotonic()
        self._upload(states)
        if states:
            self._states_from = time.monotonic() + (time.monotonic() - began) / STATE_SHARE
        for name in self._stored.keys() - now.keys():
            self._files.remove(f"{self._key}/{name}")
        self._stored = now

    def close(self) -> None:
        self.store(whole=True)
        self._files.remove(self._owner)

    def _upload(self, changed: list[str]) -> None:
        upload(self._files, [(f"{self._key}/{name}", self._folder / name) for name in changed])

    def _copied(self, before: str | None, name: str) -> bool:
        """Copy a file that was renamed, within the object store; False if it was not, or is gone there."""
        with suppress(MissingFile):
            return before is not None and self._files.copy(f"{self._key}/{before}", f"{self._key}/{name}")
        return False

    def _states(self) -> dict[str, _State]:
        states = {}
        for name in names(self._folder):
            state = (self._folder / name).stat()
            states[name] = (state.st_ino, state.st_mtime_ns, state.st_size)
        return states


def _is_state(name: str) -> bool:
    return name.endswith(STATE_SUFFIXES)


def names(folder: Path) -> list[str]:
    """Return the paths of all finished files below a folder, relative to it, sorted."""
    return [name for name in all_names(folder) if PART not in name]


def all_names(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, relative to it, sorted."""
    paths = (Path(place, name) for place, _, files in os.walk(folder) for name in files)
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def upload(files: ObjectStore, pairs: Sequence[tuple[str, Path]]) -> None:
    """Store files as objects whose paths need not be keys."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda pair: files.put(*pair), pairs))


@contextmanager
def growing(files: ObjectStore, key: str, path: Path) -> Iterator[Path]:
    """Yield the path of an empty file; what is appended to it is appended to the stored file, every few seconds.

    An object store that does not respond is no error here.
    """
    with suppress(OSError):  # a log that cannot be written ends no job
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    growing_log, ended = _Log(files, key, path), threading.Event()
    thread = threading.Thread(target=growing_log.store_until, args=(ended,), name="log", daemon=True)
    thread.start()
    try:
        yield path
    finally:
        ended.set()
        thread.join()
        growing_log.store()
        with suppress(OSError):
            path.unlink()


class _Log:
    def __init__(self, files: ObjectStore, key: str, path: Path) -> None:
        self._files, self._key, self._path = files, key, path
        self._before: bytes | None = None
        self._size = 0

    def store_until(self, ended: threading.Event) -> None:
        pause_s = LOG_EVERY_S
        while not ended.wait(pause_s):
            began = time.monotonic()
            self.store()
            pause_s = max(LOG_EVERY_S, (time.monotonic() - began) / LOG_SHARE)

    def store(self) -> None:
        try:
            if self._path.stat().st_size == self._size:
                return
            content = self._path.read_bytes()
            if self._before is None:
                self._before = self._earlier()
            self._files.put(self._key, self._before + content)
            self._size = len(content)
        except (StoreFailed, OSError) as error:
            log.warning("The log of a job could not be stored: %s", error)

    def _earlier(self) -> bytes:
        """Return what attempts before this one have logged."""
        try:
            return self._files.read(self._key)
        except MissingFile:
            return b""
