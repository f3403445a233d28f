"""Names of exported files: the names of the images, made safe for every file system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_EDGES = re.compile(r"^[.\s]+|[.\s]+$")  # blanks of every script
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?")
LONGEST_STEM_BYTES = 200


def safe_stems(names: Sequence[str]) -> list[str]:
    """Return a file stem for each image name: its own where possible, unique regardless of case, in any script.

    Folders and the last suffix are dropped; characters that some file system refuses become "_"; a stem that is taken
    gets "-2", "-3" … .
    """
    taken: set[str] = set()
    last_number: dict[str, int] = {}  # a thousand folders may each hold an image.png
    stems = []
    for name in names:
        base = stem = safe_part(PurePosixPath(PurePosixPath(name.replace("\\", "/")).name).stem) or "image"
        same = _folded(base)
        while _folded(stem) in taken:
            last_number[same] = last_number.get(same, 1) + 1
            stem = f"{base}-{last_number[same]}"
        taken.add(_folded(stem))
        stems.append(stem)
    return stems


def safe_part(part: str, longest_bytes: int = LONGEST_STEM_BYTES) -> str:
    """Return one part of a path, with or without its suffix, as every file system accepts it; "" if nothing is left.

    Characters that some file system refuses become "_", names that Windows reserves get a "_" in front, and the end is
    cut off at `longest_bytes` of UTF-8.
    """
    part = _EDGES.sub("", _UNSAFE.sub("_", unicodedata.normalize("NFC", part)))
    if _RESERVED.fullmatch(part):
        part = f"_{part}"
    return _EDGES.sub("", part.encode()[:longest_bytes].decode("utf-8", "ignore"))


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()
