"""Where files to import come from: a folder here; a zip in `archive.py`. A source lists its files and reads one.

Pictures and files that may be annotations are listed apart, each by its name alone.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from engine.datasets.foreign_formats import foreign_suffix

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib", ".gif", ".avif", ".jp2"}
    | {".heic", ".heif"}
)
DOCUMENT_SUFFIXES = frozenset({".json", ".xml", ".txt", ".yaml", ".yml", ".names", ".csv"})
"""Files that may hold annotations; their content decides."""

FORMAT_NAMES = "JPEG, PNG, TIFF, WebP, AVIF, JPEG 2000, BMP or GIF"
ARCHIVE_SUFFIXES = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
LONGEST_NAME = 500
SAME_NAME = "Another file of the same name came first."
ARCHIVE = "It is an archive; import it by itself."
OUTWARD_LINK = "It is a link to a file outside of the folder, and such links are not followed."
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows: "\u202egnp.exe" would show as "exe.png"."""

_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
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
    """One file of a source. `name` is text to show and to pair by; `handle` is for the source alone."""

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
    """Files to import, in the order of their names, and those that are out from the start.

    `files` may be pictures, and `documents` annotations.
    """

    @property
    def files(self) -> Sequence[SourceFile]: ...
    @property
    def documents(self) -> Sequence[SourceFile]: ...
    @property
    def skipped(self) -> Sequence[Entry]: ...

    def read(self, file: SourceFile) -> bytes:
        """Return the content of one of `files` or `documents`. May be called from several threads.

        Raises:
            UnreadableSource: this one file cannot be read.
        """

    def close(self) -> None:
        """Let go of open files."""


class Names:
    """The names of one import, each given once: a second file of a name is "a.png (again)"."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._copies: dict[str, int] = {}

    def take(self, name: str) -> tuple[str, bool]:
        """Return a name that nothing has yet, and whether `name` itself was free."""
        given, free = name, name not in self._taken
        while given in self._taken:
            self._copies[name] = self._copies.get(name, 0) + 1
            given = f"{name} (again)" if self._copies[name] == 1 else f"{name} (again {self._copies[name]})"
        self._taken.add(given)
        return given, free


class Folder:
    """The files below a folder of this machine.

    Links to folders are not followed, so nothing is met twice; links to files are, as long as they stay in the folder.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """List the folder.

        Raises:
            UnreadableSource: it is no folder, cannot be read, or holds too many files.
        """
        limits = limits or Limits()
        if not path.is_dir():
            raise UnreadableSource(f"There is no folder {str(path)!r}.")
        self.files: list[SourceFile] = []
        self.documents: list[SourceFile] = []
        self.skipped: list[Entry] = []
        self.zips: list[tuple[Entry, Path]] = []
        """The zips among the skipped: who takes uploads opens them."""
        self._root = path = path.resolve()
        self._names = Names()
        for place, name in self._walk(path):
            if len(self.files) + len(self.documents) + len(self.skipped) >= limits.max_files:
                raise UnreadableSource(f"The folder holds more than {limits.max_files:,} files, which is the limit.")
            self._add(place, name, limits)
        self.files.sort(key=lambda file: file.name)
        self.documents.sort(key=lambda file: file.name)

    def read(self, file: SourceFile) -> bytes:
        return _read_whole(file)

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
        name, free = self._names.take(name)
        try:
            status = place.stat()
            if place.is_symlink():
                place = place.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
            reason = getattr(error, "strerror", None) or "it is a link to itself"
            self.skipped.append(Entry(name, False, f"It cannot be read: {reason}."))
            return
        reason = why_not(name, status.st_size, limits)
        if not free:  # one name in two spellings of Unicode, or with bytes that are no text
            reason = SAME_NAME
        elif not stat.S_ISREG(status.st_mode):
            reason = "It is no ordinary file."
        elif not place.is_relative_to(self._root):
            reason = OUTWARD_LINK
        if not reason:
            listed = self.documents if is_document_name(name) else self.files
            listed.append(SourceFile(name, status.st_size, place))
            return
        self.skipped.append(Entry(name, False, reason))
        if reason == ARCHIVE and name.lower().endswith(".zip"):
            self.zips.append((self.skipped[-1], place))


class OneFile:
    """One file as a source: a picture that was given in place of a folder."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        size, name = path.stat().st_size, shown(path.name)
        reason = why_not(name, size, limits or Limits())
        file = SourceFile(name, size, path)
        self.files = [] if reason or is_document_name(name) else [file]
        self.documents = [file] if not reason and is_document_name(name) else []
        self.skipped = [Entry(name, False, reason)] if reason else []

    def read(self, file: SourceFile) -> bytes:
        return _read_whole(file)

    def close(self) -> None:
        pass


class Joined:
    """Several sources as one; each is a folder of its own, so that images.zip and masks.zip pair like folders."""

    def __init__(self, parts: Sequence[tuple[str, Source]]) -> None:
        self._parts = [part for _, part in parts]
        self.files: list[SourceFile] = []
        self.documents: list[SourceFile] = []
        self.skipped: list[Entry] = []
        names = Names()
        for prefix, part in parts:
            for listed, files in ((self.files, part.files), (self.documents, part.documents)):
                for file in files:
                    name, free = names.take(prefix + file.name)
                    if free:
                        listed.append(SourceFile(name, file.size_bytes, (part, file)))
                    else:  # set/a.png beside set.zip with a.png in it
                        self.skipped.append(Entry(name, False, SAME_NAME))
        for prefix, part in parts:
            for entry in part.skipped:
                self.skipped.append(Entry(names.take(prefix + entry.name)[0], False, entry.reason))

    def read(self, file: SourceFile) -> bytes:
        part, original = file.handle
        return part.read(original)

    def close(self) -> None:
        for part in self._parts:
            part.close()


def _read_whole(file: SourceFile) -> bytes:
    try:
        # What was a file when it was listed may be a link or a pipe by now.
        with open(file.handle, "rb", opener=_open_no_link) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UnreadableSource("It is no ordinary file.")
            data = opened.read(file.size_bytes + 1)
    except OSError as error:
        raise UnreadableSource(f"It cannot be read: {error.strerror}.") from None
    if len(data) > file.size_bytes:
        raise UnreadableSource("It grew while it was imported; import it again when it is finished.")
    return data


def _open_no_link(path: str, flags: int) -> int:
    # Without O_NONBLOCK the opening of a pipe waits for who writes into it.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def shown(name: str) -> str:
    """Return any file name as text that can be shown and stored.

    It is NFC, one line, not endless, and free of control characters and of marks that turn the writing direction. A
    name of which nothing would be seen is "(no name)".
    """
    text = "".join("\ufffd" if _is_unshowable(character) else character for character in name)
    text = unicodedata.normalize("NFC", text)
    if all(unicodedata.category(character)[0] == "Z" or character in _INVISIBLE for character in text):
        return "(no name)"
    return text if len(text) <= LONGEST_NAME else "…" + text[-LONGEST_NAME + 1 :]


def _is_unshowable(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def is_silent(name: str) -> bool:
    """Return whether a file or folder name is bookkeeping of an operating system: skipped without a word."""
    return name.startswith(".") or name.lower() in _SILENT


def why_not(name: str, size_bytes: int, limits: Limits) -> str:
    """Return why a file is neither a picture nor annotations, by its name and size alone, or "" if it may be."""
    suffix = PurePosixPath(name).suffix.lower()
    if foreign := foreign_suffix(name):
        return foreign
    if suffix in ARCHIVE_SUFFIXES:
        return ARCHIVE
    if not is_picture_name(name) and not is_document_name(name):
        return f"Files ending in {suffix} are not read; images are {FORMAT_NAMES}."
    if size_bytes > limits.max_file_bytes:
        return f"It has {size_bytes / 1e6:,.0f} MB; the limit for one file is {limits.max_file_bytes / 1e6:,.0f} MB."
    return ""


def ignored_entry(name: str) -> Entry:
    """Return the line of the report for a file that was chosen in the browser but not sent, because of its name."""
    return Entry(shown(name), False, why_not(name, 0, Limits()) or "It was not sent.")


def is_picture_name(name: str) -> bool:
    """Return whether a file may be a picture by its name.

    Without a suffix it may be, and with a number in place of one, as scanners and microscopes write it (img.001): its
    content decides.
    """
    suffix = PurePosixPath(name).suffix.lower()
    return not suffix or suffix in IMAGE_SUFFIXES or suffix[1:].isdigit()


def is_document_name(name: str) -> bool:
    """Return whether a file may hold annotations by its name."""
    return PurePosixPath(name).suffix.lower() in DOCUMENT_SUFFIXES
