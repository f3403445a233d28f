"""Which image of a source an annotation file means, by name alone: no file is opened, inside or outside the source."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

MOST_CANDIDATES = 32
"""Of more images of one name none is chosen by its folders: to compare each with each would take minutes."""

_WORDS = re.compile(r"[^\W_]+")


class ImageNames:
    """The images of a source, by relative path, by file name and by stem, each regardless of case."""

    def __init__(self, images: Sequence[str]) -> None:
        self._by_path: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for image in images:
            path = PurePosixPath(image.casefold())
            self._by_path.setdefault(str(path), image)
            self._by_name[path.name].append(image)
            self._by_stem[path.stem].append(image)

    def find(self, reference: object, document: str) -> str | None:
        """Return the image that a document calls `reference`, or None if there is none, or not one alone.

        In this order: the path from the document's folder, the path from the top, the one image with the same file
        name, the one with the same stem. Of several the one wins whose folders agree best.
        """
        if not isinstance(reference, str) or not reference.strip():
            return None
        # Some tools write names as they are in URLs
        names = dict.fromkeys((reference, unquote(reference)))
        return next((image for name in names if (image := self._find(name, document))), None)

    def _find(self, reference: str, document: str) -> str | None:
        path = reference.strip().replace("\\", "/").casefold()
        folder = posixpath.dirname(document.casefold())
        for whole in (posixpath.join(folder, path), path):
            if found := self._by_path.get(posixpath.normpath(whole)):
                return found
        name = posixpath.basename(path)
        candidates = self._by_name.get(name) or self._by_stem.get(PurePosixPath(name).stem, [])
        return _closest(candidates, path, document)

    def of_stem(self, document: str) -> str | None:
        """Return the image with the stem of a document, such as images/a.jpg for labels/a.txt, or None."""
        path = document.casefold()
        return _closest(self._by_stem.get(PurePosixPath(path).stem, []), path, document)


def _closest(candidates: list[str], path: str, document: str) -> str | None:
    if len(candidates) == 1:
        return candidates[0]
    if not candidates or len(candidates) > MOST_CANDIDATES:
        return None
    words = set(_WORDS.findall(document.casefold()))

    def agreement(image: str) -> tuple[int, bool, int]:
        folders = posixpath.dirname(image.casefold())
        same_folder = folders == posixpath.dirname(document.casefold())
        return _common_end(folders, posixpath.dirname(path)), same_folder, len(words & set(_WORDS.findall(folders)))

    ranked = sorted(candidates, key=agreement, reverse=True)
    return ranked[0] if agreement(ranked[0]) > agreement(ranked[1]) else None


def _common_end(folders: str, others: str) -> int:
    """Return how many folders two paths share, counted from their ends."""
    pairs = zip(reversed(folders.split("/")), reversed(others.split("/")), strict=False)
    count = 0
    for one, other in pairs:
        if not one or one != other:
            break
        count += 1
    return count
