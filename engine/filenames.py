"""Names for files that leave the house: what people called their images, made safe for every file system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f‎‏‪-‮⁦-⁩]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
LONGEST_STEM_BYTES = 200


def safe_stems(names: Sequence[str]) -> list[str]:
    """Return a file stem for each image name: its own where possible, unique regardless of case, in any script.

    Folders and the last suffix are dropped; characters that some file system refuses become "_"; a stem that is taken
    gets "-2", "-3" … .
    """
    taken: set[str] = set()
    stems = []
    for name in names:
        base = _safe(PurePosixPath(name.replace("\\", "/")).name)
        stem, number = base, 2
        while unicodedata.normalize("NFC", stem).casefold() in taken:
            stem, number = f"{base}-{number}", number + 1
        taken.add(unicodedata.normalize("NFC", stem).casefold())
        stems.append(stem)
    return stems


def _safe(file_name: str) -> str:
    stem = unicodedata.normalize("NFC", PurePosixPath(file_name).stem)
    stem = _UNSAFE.sub("_", stem).strip(". ")
    if _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    while len(stem.encode()) > LONGEST_STEM_BYTES:
        stem = stem[:-1]
    return stem or "image"
