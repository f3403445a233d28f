"""What uploads hold: where each file of an upload lies, and how many bytes count towards the limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass
class _Upload:
    """One upload. Places are compared as every file system compares names, without case."""

    counted: int = 0
    """Bytes of files that lie there or arrive."""
    bytes_at: dict[str, int] = field(default_factory=dict)
    place_of: dict[str, PurePosixPath] = field(default_factory=dict)
    """For each path that the browser gave: where it lies."""
    files: dict[str, str] = field(default_factory=dict)
    """For each place: the path that the browser gave."""
    folders: set[str] = field(default_factory=set)
    moved: dict[str, PurePosixPath] = field(default_factory=dict)
    """For each folder whose name a file has: the one beside it."""
    next_number: dict[str, int] = field(default_factory=dict)
    """For each name that was wished more than once: the number to try next."""

    def free(self, wished: PurePosixPath) -> PurePosixPath:
        """Return `wished`, or a place beside it where a file of another path or a folder has that name."""
        folder = PurePosixPath()
        for part in wished.parts[:-1]:
            wish = folder / part
            folder = self.moved.get(_folded(wish)) or self._beside(wish, lambda place: place in self.files)
            if folder != wish:
                self.moved[_folded(wish)] = folder
        return self._beside(folder / wished.name, lambda place: place in self.files or place in self.folders)

    def _beside(self, wished: PurePosixPath, taken: Callable[[str], bool]) -> PurePosixPath:
        place, key = wished, _folded(wished)
        number = self.next_number.get(key, 2)
        while taken(_folded(place)):
            place, number = wished.with_stem(f"{wished.stem}-{number}"), number + 1
        if place != wished:
            self.next_number[key] = number
        return place


class Arrival:
    """A file that arrives. What it has counted is given back unless it is stored."""

    def __init__(self, upload: _Upload, place: PurePosixPath, limit_bytes: int, lock: threading.Lock) -> None:
        self._upload, self._place, self._limit, self._lock = upload, _folded(place), limit_bytes, lock
        self._bytes = 0
        self.stored = False

    def room(self) -> int:
        """Return how many bytes more may come; a file that this one replaces does not count."""
        with self._lock:
            return self._limit - self._upload.counted + self._upload.bytes_at.get(self._place, 0)

    def count(self, arrived_bytes: int) -> None:
        with self._lock:
            self._bytes += arrived_bytes
            self._upload.counted += arrived_bytes

    def end(self) -> None:
        with self._lock:
            if self.stored:
                self._upload.counted -= self._upload.bytes_at.get(self._place, 0)
                self._upload.bytes_at[self._place] = self._bytes
            else:
                self._upload.counted -= self._bytes


class Staging:
    """The uploads of this process, by their tokens."""

    def __init__(self) -> None:
        self._uploads: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def issue(self, token: str) -> None:
        self._uploads[token] = _Upload()

    def knows(self, token: str | None) -> bool:
        return token in self._uploads

    def place(self, token: str, path: str, wished: PurePosixPath, most_files: int) -> PurePosixPath | None:
        """Return where the file that the browser calls `path` lies: at `wished`, or beside what has that name.

        The same file sent again takes its own place. None if the upload holds `most_files` already.
        """
        with self._lock:
            upload = self._uploads[token]
            if known := upload.place_of.get(path):
                return known
            if len(upload.files) >= most_files:
                return None
            place = upload.free(wished)
            upload.place_of[path], upload.files[_folded(place)] = place, path
            upload.folders.update(_folded(parent) for parent in place.parents[:-1])
            return place

    @contextmanager
    def arriving(self, token: str, place: PurePosixPath, limit_bytes: int) -> Iterator[Arrival]:
        """Yield what counts the bytes of a file while it arrives."""
        arrival = Arrival(self._uploads[token], place, limit_bytes, self._lock)
        try:
            yield arrival
        finally:
            arrival.end()

    def forget_file(self, token: str, place: PurePosixPath) -> None:
        with self._lock:
            upload = self._uploads.get(token, _Upload())
            upload.counted -= upload.bytes_at.pop(_folded(place), 0)
            upload.place_of.pop(upload.files.pop(_folded(place), ""), None)

    def empty(self, token: str) -> None:
        """Forget what came in under a token, which can be used again."""
        with self._lock:
            if token in self._uploads:
                self._uploads[token] = _Upload()

    def close(self, token: str) -> None:
        with self._lock:
            self._uploads.pop(token, None)


def _folded(place: PurePosixPath) -> str:
    return place.as_posix().casefold()
