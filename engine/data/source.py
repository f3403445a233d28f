"""Where files to import come from: a folder here; a zip in `archive.py`. A source lists its files and reads one."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib", ".gif"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
LONGEST_NAME = 500
SAME_NAME = "Another file of the same name came first."
_SILENT = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


class UnreadableSource(ValueError):
    """A source, or one file of it, cannot be read at all. The message is one sentence."""


@dataclass(frozen=True)
class Limits:
    """What one import may bring."""

    max_files: int = 100_000
    max_file_bytes: int = 512 << 20
    max_total_bytes: int = 50 << 30
    max_ratio: int = 200
    """A zip may not unpack to more than this many times its size …"""
    ratio_free_bytes: int = 16 << 20
    """… unless that is less than this: plain black masks pack a thousand to one."""


@dataclass(frozen=True)
class SourceFile:
    """One file that may be a picture. `name` is text to show and to pair by; `handle` is for the source alone."""

    name: str
    size_bytes: int
    handle: Any


@dataclass(frozen=True)
class Entry:
    """One line of the import report: a file was taken or skipped, with one sentence why (or a note).

    `same_as` is the name of the image whose double a skipped image is.
    """

    name: str
    taken: bool
    reason: str = ""
    same_as: str = ""


class Source(Protocol):
    """Files to import, in the order of their names, and those that are out from the start."""

    files: Sequence[SourceFile]
    skipped: Sequence[Entry]

    def read(self, file: SourceFile) -> bytes:
        """Return the content of one of `files`. May be called from several threads.

        Raises:
            UnreadableSource: this one file cannot be read.
        """

    def close(self) -> None:
        """Let go of open files."""


class Folder:
    """The files below a folder of this machine. Links to folders are not followed, so nothing is met twice."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """List the folder.

        Raises:
            UnreadableSource: it is no folder, cannot be read, or holds too many files.
        """
        limits = limits or Limits()
        if not path.is_dir():
            raise UnreadableSource(f"There is no folder {str(path)!r}.")
        self.files: list[SourceFile] = []
        self.skipped: list[Entry] = []
        self._names: set[str] = set()
        for place, name in self._walk(path):
            if len(self.files) + len(self.skipped) >= limits.max_files:
                raise UnreadableSource(f"The folder holds more than {limits.max_files:,} files, which is the limit.")
            self._add(place, name, limits)
        self.files.sort(key=lambda file: file.name)

    def read(self, file: SourceFile) -> bytes:
        try:
            return file.handle.read_bytes()
        except OSError as error:
            raise UnreadableSource(f"It cannot be read: {error.strerror}.") from None

    def close(self) -> None:
        pass

    def _walk(self, path: Path) -> Iterator[tuple[Path, str]]:
        def refuse(error: OSError) -> None:
            if Path(error.filename) == path:
                raise UnreadableSource(f"The folder {str(path)!r} cannot be read: {error.strerror}.")
            name = shown(Path(error.filename).relative_to(path).as_posix())
            self.skipped.append(Entry(name, False, f"The folder cannot be read: {error.strerror}."))

        for folder, folders, names in os.walk(path, onerror=refuse):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if not is_silent(name))
            for name in folders:
                if (here / name).is_symlink():
                    link = shown((here / name).relative_to(path).as_posix())
                    self.skipped.append(
                        Entry(link, False, "It is a link to a folder, and such links are not followed.")
                    )
            for name in names:
                if not is_silent(name):
                    yield here / name, shown((here / name).relative_to(path).as_posix())

    def _add(self, place: Path, name: str, limits: Limits) -> None:
        try:
            status = place.stat()
        except OSError as error:
            self.skipped.append(Entry(name, False, f"It cannot be read: {error.strerror}."))
            return
        reason = why_not(name, status.st_size, limits)
        if not stat.S_ISREG(status.st_mode):
            reason = "It is no ordinary file."
        if name in self._names:  # one name in two spellings of Unicode, or with bytes that are no text
            name, reason = f"{name} (again)", SAME_NAME
        self._names.add(name)
        if reason:
            self.skipped.append(Entry(name, False, reason))
        else:
            self.files.append(SourceFile(name, status.st_size, place))


class Joined:
    """Several sources as one; each is a folder of its own, so that images.zip and masks.zip pair like folders."""

    def __init__(self, parts: Sequence[tuple[str, Source]]) -> None:
        self._parts = [part for _, part in parts]
        self.files = [
            SourceFile(prefix + file.name, file.size_bytes, (part, file))
            for prefix, part in parts
            for file in part.files
        ]
        self.skipped = [
            Entry(prefix + entry.name, False, entry.reason) for prefix, part in parts for entry in part.skipped
        ]

    def read(self, file: SourceFile) -> bytes:
        part, original = file.handle
        return part.read(original)

    def close(self) -> None:
        for part in self._parts:
            part.close()


def shown(name: str) -> str:
    """Return any file name as text that can be shown and stored: NFC, no control characters, not endless."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = "".join("\ufffd" if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
    text = unicodedata.normalize("NFC", text)
    return text if len(text) <= LONGEST_NAME else "…" + text[-LONGEST_NAME + 1 :]


def is_silent(name: str) -> bool:
    """Return whether a file or folder name is bookkeeping of an operating system: skipped without a word."""
    return name.startswith(".") or name.lower() in _SILENT


def why_not(name: str, size_bytes: int, limits: Limits) -> str:
    """Return why a file cannot be a picture, by its name and size alone, or "" if it may be one.

    A file without a suffix may be one: its content decides.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in ARCHIVE_SUFFIXES:
        return "It is an archive; import it by itself."
    if suffix and suffix not in IMAGE_SUFFIXES:
        return f"Files ending in {suffix} are not read; images are JPEG, PNG, TIFF, WebP, BMP or GIF."
    if size_bytes > limits.max_file_bytes:
        return f"It has {size_bytes / 1e6:,.0f} MB; the limit for one file is {limits.max_file_bytes / 1e6:,.0f} MB."
    return ""
