"""A zip as a source of files: read member by member, never unpacked to disk, nothing in it believed."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from engine.datasets.code_pages import decoded
from engine.datasets.source import (
    SAME_NAME,
    Entry,
    Limits,
    Names,
    SourceFile,
    UnreadableSource,
    is_document_name,
    is_silent,
    shown,
    why_not,
)
from engine.datasets.zip_directory import check_directory, what_instead

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_METHODS = {9: "deflate64", zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}


class Zip:
    """The pictures and annotation files in a zip. Close it when done."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """List the zip.

        Raises:
            UnreadableSource: it is no zip, is damaged or empty, holds too much, or is a bomb.
        """
        limits = limits or Limits()
        try:
            check_directory(path, limits.max_files)
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise UnreadableSource("The zip is not there.") from None
        except UnicodeDecodeError:
            raise UnreadableSource("The zip is damaged: a name in it is marked as UTF-8 and is not.") from None
        except UnreadableSource:
            raise
        except Exception:  # a damaged list of files raises anything from BadZipFile and OSError to struct.error
            raise UnreadableSource(what_instead(path)) from None
        self.files: list[SourceFile] = []
        self.documents: list[SourceFile] = []
        self.skipped: list[Entry] = []
        self._names = Names()
        try:
            members = [member for member in self._zip.infolist() if not _is_folder(member)]
            self._check_whole(members, path.stat().st_size, limits)
            for member in members:
                self._add(member, limits)
        except UnreadableSource:
            self._zip.close()
            raise
        self.files.sort(key=lambda file: file.name)
        self.documents.sort(key=lambda file: file.name)

    def close(self) -> None:
        self._zip.close()

    def read(self, file: SourceFile) -> bytes:
        # Asked for so many bytes, zipfile unpacks no more of a deflated member and then compares the checksum, so that
        # one which unpacks to more than it says is an error and fills no memory. `ZipFile.read` would unpack it all.
        try:
            with self._zip.open(file.handle) as member:
                return member.read(file.size_bytes)
        except NotImplementedError:
            raise UnreadableSource("It is packed in a way that is not read here.") from None
        except Exception:  # damaged members raise anything from BadZipFile to zlib.error, lzma.LZMAError and EOFError
            raise UnreadableSource("It is damaged in the zip and cannot be unpacked.") from None

    def _check_whole(self, members: list[zipfile.ZipInfo], packed_bytes: int, limits: Limits) -> None:
        total = sum(member.file_size for member in members)
        packed = sum(member.compress_size for member in members)
        if not members:
            raise UnreadableSource("The zip is empty.")
        if len(members) > limits.max_files:
            raise UnreadableSource(f"The zip holds {len(members):,} files; the limit is {limits.max_files:,}.")
        if packed > packed_bytes:
            raise UnreadableSource(
                f"The zip has {packed_bytes:,} bytes and says that {packed:,} are packed in it: its files overlap, "
                "as in a zip bomb, or it is damaged."
            )
        if total > limits.max_total_bytes:
            raise UnreadableSource(
                f"The zip unpacks to {total / 1e9:,.1f} GB; the limit is {limits.max_total_bytes / 1e9:,.1f} GB."
            )
        if total > limits.ratio_free_bytes and total > limits.max_ratio * packed_bytes:
            raise UnreadableSource(
                f"The zip unpacks to {total / packed_bytes:,.0f} times its size, as a zip bomb does; "
                f"the limit is {limits.max_ratio} times."
            )

    def _add(self, member: zipfile.ZipInfo, limits: Limits) -> None:
        path = _name(member).replace("\\", "/")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if any(is_silent(part) for part in parts if part != ".."):
            return
        name, free = self._names.take(shown("/".join(parts)))
        reason = _why_refused(member, path) or _why_too_much(member, limits) or why_not(name, member.file_size, limits)
        if not free:
            reason = SAME_NAME
        if reason:
            self.skipped.append(Entry(name, False, reason))
        else:
            listed = self.documents if is_document_name(name) else self.files
            listed.append(SourceFile(name, member.file_size, member))


def _name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member as its maker meant it: zips name UTF-8 at most, and no code page."""
    if member.flag_bits & _UTF8_NAME or member.orig_filename.isascii():
        return member.orig_filename
    try:
        return decoded(member.orig_filename.encode("cp437")) or member.orig_filename
    except UnicodeEncodeError:
        return member.orig_filename


def _is_folder(member: zipfile.ZipInfo) -> bool:
    # Old tools of Windows write folders with a backslash at the end.
    return member.orig_filename.endswith("/") or (member.orig_filename.endswith("\\") and not member.file_size)


def _why_refused(member: zipfile.ZipInfo, path: str) -> str:
    if not path.strip("./"):
        return "It has no name in the zip."
    if path.startswith("/") or path[1:3] == ":/" or ".." in path.split("/"):
        return "Its path leads out of the zip."
    if member.flag_bits & _ENCRYPTED:
        return "It is encrypted; unpack it with its password and import it then."
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "It is a link or another special file, not a picture."
    if member.compress_type not in _METHODS:  # zipfile unpacks the others at one go, however much comes out of them
        method = _OTHER_METHODS.get(member.compress_type, f"method {member.compress_type}")
        return f"It is packed by {method}; the methods that are read here are stored and deflate."
    return ""


def _why_too_much(member: zipfile.ZipInfo, limits: Limits) -> str:
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > limits.ratio_free_bytes and ratio > limits.max_ratio:
        return f"It unpacks to {ratio:,.0f} times its size, as a zip bomb does; the limit is {limits.max_ratio} times."
    return ""
