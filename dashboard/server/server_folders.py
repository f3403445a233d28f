"""Folders of the machine that runs Maskloom, to choose one to import from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from engine.datasets.source import IMAGE_SUFFIXES, is_silent

MOST_ENTRIES = 20_000
"""Names that are read of one folder: enough for any that a person looks into, and at most a tenth of a second."""


@dataclass(frozen=True)
class FolderView:
    """One folder: `folders` are the names of those in it, `images` counts its images, `zips` are names.

    `more`: there are more files than were looked at. `error` is why it cannot be read, or "".
    """

    path: Path
    folders: tuple[str, ...] = ()
    zips: tuple[str, ...] = ()
    images: int = 0
    more: bool = False
    error: str = ""


def folder_view(path: Path) -> FolderView:
    """Return what is directly in a folder, without hidden names; files are counted by their names alone."""
    folders: list[str] = []
    zips: list[str] = []
    images = seen = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                seen += 1
                if seen > MOST_ENTRIES:
                    break
                suffix = PurePath(entry.name).suffix.lower()
                if is_silent(entry.name) or not _is_text(entry.name):
                    continue
                if _is_folder(entry):
                    folders.append(entry.name)
                elif suffix == ".zip":
                    zips.append(entry.name)
                else:
                    images += suffix in IMAGE_SUFFIXES
    except OSError as error:
        return FolderView(path, error=f"The folder {str(path)!r} cannot be read: {error.strerror}.")
    except ValueError:  # a path with a null character
        return FolderView(path, error=f"The folder {str(path)!r} cannot be read.")
    return FolderView(path, tuple(sorted(folders, key=str.casefold)), tuple(sorted(zips)), images, seen > MOST_ENTRIES)


def server_path(typed: str) -> Path:
    """Return the path that a person typed, with "~" as their home."""
    try:
        return Path(typed).expanduser()
    except RuntimeError:  # of a user who does not exist
        return Path(typed)


def kind_of(path: Path) -> Literal["folder", "zip", ""]:
    """Return what a path names, "zip" for any file, or "" if nothing that can be reached."""
    try:
        return "folder" if path.is_dir() else "zip" if path.exists() else ""
    except OSError:  # too long, or below a folder that cannot be entered
        return ""


def _is_text(name: str) -> bool:
    """Return whether a name is valid in the encoding of file names: another one cannot be sent to a browser."""
    return name.encode("utf-8", "ignore").decode("utf-8") == name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or through a folder that cannot be entered
        return False
