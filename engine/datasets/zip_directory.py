"""What a zip's own list of files takes, found out before anything reads that list into memory."""

from __future__ import annotations

import struct
from pathlib import Path

from engine.datasets.source import UnreadableSource

BYTES_PER_FILE = 512
"""What one file may take in the list, on average: 46 bytes, its name and its extra fields."""
LEAST_LIST_BYTES = 1 << 20

_END, _END_64, _LOCATOR_64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_END_BYTES, _END_64_BYTES, _LOCATOR_64_BYTES = 22, 56, 20
_LONGEST_COMMENT = 0xFFFF

_OTHERS = (
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ\0", "an xz file"),
    (257, b"ustar", "a tar archive"),
)


def check_directory(path: Path, max_files: int) -> None:
    """Look at the end of a zip; what is no zip passes, because who opens it will say so.

    The number of files that a zip states is not believed: its list is counted.

    Raises:
        UnreadableSource: the list holds too many files, or is too long for so many.
        OSError: the file cannot be read.
    """
    limit_bytes = max(LEAST_LIST_BYTES, max_files * BYTES_PER_FILE)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        tail_at = max(0, size - _END_BYTES - _LONGEST_COMMENT)
        file.seek(tail_at)
        tail = file.read()
        end = tail.rfind(_END)
        if end < 0 or len(tail) - end < _END_BYTES:
            return
        list_end, list_bytes = tail_at + end, struct.unpack_from("<I", tail, end + 12)[0]
        before = list_end - _LOCATOR_64_BYTES - _END_64_BYTES
        if before >= 0:
            file.seek(before)
            record = file.read(_END_64_BYTES + 4)
            if record[:4] == _END_64 and record[_END_64_BYTES:] == _LOCATOR_64:
                list_end, list_bytes = before, struct.unpack_from("<Q", record, 40)[0]
        if list_bytes > limit_bytes:
            raise UnreadableSource(
                f"The zip lists its files in {list_bytes / 1e6:,.1f} MB; for {max_files:,} files, which is the limit, "
                f"it may take {limit_bytes / 1e6:,.1f} MB."
            )
        file.seek(max(0, list_end - list_bytes))
        count = file.read(list_bytes).count(_ENTRY)
    if count > max_files:
        raise UnreadableSource(f"The zip holds {count:,} files; the limit is {max_files:,}.")


def what_instead(path: Path) -> str:
    """Return in one sentence what a file is that cannot be opened as a zip."""
    with path.open("rb") as file:
        head = file.read(512)
    for offset, magic, words in _OTHERS:
        if head[offset:].startswith(magic):
            return f"It is {words} and no zip, whatever its name says; pack the images as a zip."
    return "The zip is damaged or cut short, or is no zip at all."
