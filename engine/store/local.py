"""The store in a folder of this machine: `DATA_ROOT`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from engine.store.base import Listing, MissingFile
from engine.store.disk import PART, replacing
from engine.store.keys import checked, is_key


@dataclass(frozen=True)
class LocalStore:
    """Files below one root folder; a key is the path relative to it. Implements `engine.store.base.Store`."""

    root: Path

    place: ClassVar[str] = "DATA_ROOT"

    def path(self, key: str) -> Path:
        """Return the path of `key`, whether it exists or not. Not part of `Store`: only for this machine's care.

        Raises:
            BadKey: `engine.store.keys` cannot have built it.
        """
        return self.root.joinpath(*checked(key).split("/"))

    def read(self, key: str) -> bytes:
        with _named(key):
            return self.path(key).read_bytes()

    def tail(self, key: str, limit_bytes: int) -> str:
        with _named(key), self.path(key).open("rb") as file:
            start = max(file.seek(0, os.SEEK_END) - limit_bytes, 0)
            file.seek(start)
            data = file.read(limit_bytes)
        return (data.partition(b"\n")[2] if start else data).decode("utf-8", "replace")

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        path = self.path(key)
        if not path.is_file():
            raise MissingFile.of(key)
        yield path

    def write(self, key: str, data: bytes) -> None:
        with self.writing(key) as path:
            path.write_bytes(data)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            yield beside

    @contextmanager
    def workspace(self, key: str) -> Iterator[Path]:
        yield self.path(key)

    def publish(self, key: str) -> None:
        pass

    @contextmanager
    def growing(self, key: str) -> Iterator[Path]:
        yield self.path(key)

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        beside = self.path(key)
        beside.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f"{beside.name}{PART}", dir=beside.parent, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def hand_over(self, key: str, folder: Path) -> None:
        if folder != self.path(key):
            shutil.copytree(folder, self.path(key), dirs_exist_ok=True)

    def exists(self, key: str) -> bool:
        return self.path(key).exists()

    def size(self, key: str) -> int:
        return sum(state.st_size for state in _states(self.path(key)))

    def modified(self, key: str) -> float:
        path = self.path(key)
        with _named(key):
            return max([path.stat().st_mtime, *(state.st_mtime for state in _states(path))])

    def version(self, key: str) -> str:
        with _named(key):
            state = self.path(key).stat()
        return f"{state.st_mtime_ns:x}-{state.st_size:x}"

    def keys(self, folder: str) -> list[str]:
        paths = (self._relative(path) for path in self.path(folder).rglob("*") if path.is_file())
        return sorted(path for path in paths if PART not in path and is_key(path))

    def listing(self, folder: str) -> Listing:
        path = self.path(folder)
        with os.scandir(path) if path.is_dir() else nullcontext(()) as entries:
            kinds = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        files, folders = ([name for name, is_folder in kinds if is_folder == wanted] for wanted in (False, True))
        return Listing(files, folders)

    def unfinished(self, folder: str) -> list[str]:
        files = (path for path in self.path(folder).rglob(f"*{PART}*") if path.is_file())
        return sorted(map(self._relative, files))

    def delete(self, key: str) -> None:
        _delete(self.path(key))

    def remove(self, path: str) -> None:
        _delete(self.root / path)

    def move(self, path: str, target: str) -> bool:
        source, destination = self.root / path, self.root / target
        if not source.exists() and not source.is_symlink():
            return False
        destination.parent.mkdir(parents=True, exist_ok=True)
        source.replace(destination)
        return True

    def delete_unfinished(self, folder: str, beginning: str = "", *, subfolders: bool = True) -> None:
        base, pattern = self.path(folder), f"{beginning}*{PART}*"
        for path in sorted(base.rglob(pattern) if subfolders else base.glob(pattern)):
            _delete(path)

    def free_bytes(self) -> int:
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


@contextmanager
def _named(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MissingFile.of(key) from None


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _states(path: Path) -> Iterator[os.stat_result]:
    """Yield the state of a file, or of every file below a folder; what is deleted in the meantime is left out."""
    paths = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    for file in paths if path.is_dir() else [path]:
        with suppress(OSError):
            yield file.lstat()
