"""Writing a backup: one zip with a copy of the database, every file that this copy names, and their hashes.

Jobs may run during a backup. The database is copied at one moment. Models and states of runs that train are opened just
before that moment, and a file that is replaced later can still be read to its end: the copy never has fewer epochs than
the stored state, so that the run can be resumed. All other files are written before their rows, so they can be read
afterwards; masks that a running job computes during the backup are computed again when it is resumed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from engine import VERSION
from engine.care.image_folders import image_folders
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.disk import PART, replacing

if TYPE_CHECKING:
    from db.inventory import Inventory

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "app.db"
PIECE_BYTES = 1 << 20
SILENT_S = 600.0
"""A backup writes to its files all the time; one that has not for this long was killed."""
PACKED = (".db", ".json", ".log", ".csv", ".txt")
"""Suffixes of files that deflate well; PNG, WebP and .keras are compressed already."""

Progress = Callable[[int, int], None]
Snapshot: TypeAlias = "Callable[[Path], contextlib.AbstractContextManager[Inventory]]"


class BackupFailed(Exception):
    """The backup cannot be made or read. The message is a sentence."""


@dataclass(frozen=True)
class BackedUp:
    """The content of a backup; `gone` are keys that rows name but that were missing on the disk."""

    files: int
    bytes: int
    gone: tuple[str, ...]
    runs_at_work: int


def write_backup(
    target: Path,
    files: Store,
    live: Inventory,
    snapshot: Snapshot | None,
    now: datetime,
    progress: Progress = lambda done, total: None,
) -> BackedUp:
    """Write a backup to `target`, completely or not at all.

    Args:
        live: the database in use, to know which runs are being trained.
        snapshot: copies the database to a path and opens the copy; None for a backup of files alone.
        progress: is called with (bytes done, bytes in total).

    Raises:
        BackupFailed: the target exists, lies inside DATA_ROOT, has no name in UTF-8, or its disk has too little room.
    """
    _refuse_bad_place(target, files)
    remove_killed(target, now.timestamp())
    with replacing(target) as beside, contextlib.ExitStack() as opened:
        beside.touch()  # what SQLite says of a place that cannot be written to does not name it
        copy = None
        if snapshot is None:
            taken = _named(files, live)
        else:
            copy = beside.with_name(f"{beside.name}.db")
            taken = _copied(files, live, snapshot, copy, opened)
        total = sum(map(files.size, taken.keys)) + (copy.stat().st_size if copy else 0)
        _refuse_full_disk(target, total)
        with _Writer(beside, total, progress) as writer:
            if copy is not None:
                writer.add(DATABASE, copy.open("rb"))
            for key in taken.keys:
                writer.add_if_there(key, taken.held.get(key), files)
            writer.finish({"schema": taken.schema, "made_at": now.isoformat()})
        return BackedUp(writer.files, writer.done, tuple(writer.gone), len(taken.runs_at_work))


@dataclass(frozen=True)
class _Taken:
    """The keys that a copy of the database names, and the files of running trainings that were opened before it."""

    keys: list[str]
    schema: str | None
    runs_at_work: set[str]
    held: dict[str, BinaryIO]


def _named(files: Store, inventory: Inventory, held: dict[str, BinaryIO] | None = None) -> _Taken:
    keys = list(dict.fromkeys(named_keys(inventory, files)))
    return _Taken(keys, inventory.schema()[0], _runs_at_work(inventory), held or {})


def _copied(files: Store, live: Inventory, snapshot: Snapshot, copy: Path, opened: contextlib.ExitStack) -> _Taken:
    """Copy the database, with the files of every run that trains in it opened before."""
    for suffix in ("", "-wal", "-shm"):
        opened.callback(copy.with_name(f"{copy.name}{suffix}").unlink, missing_ok=True)
    while True:
        held_runs = _runs_at_work(live)
        held = _held(files, held_runs, opened)
        with snapshot(copy) as inventory:
            if _runs_at_work(inventory) <= held_runs:
                return _named(files, inventory, held)


def _refuse_bad_place(target: Path, files: Store) -> None:
    try:
        str(target.absolute()).encode()  # SQLite takes no other name for the copy of the database
    except UnicodeEncodeError:
        raise BackupFailed(f"{str(target)!r} is no UTF-8. Choose another name.") from None
    if target.exists():
        raise BackupFailed(f"{str(target)!r} is there already. Choose another name, or delete it first.")
    if not target.parent.is_dir():
        raise BackupFailed(f"There is no folder {str(target.parent)!r} to write the backup into.")
    if files.root.resolve() in target.resolve().parents:
        raise BackupFailed("A backup cannot be inside what it backs up. Choose a place outside of DATA_ROOT.")


def remove_killed(target: Path, now_s: float) -> None:
    """Delete what backups that were killed left beside a target, if nobody writes to it any more."""
    # Named by `replacing`, with the copy of the database, and what SQLite keeps of that, beside it.
    unfinished = re.compile(rf"(.+\.[0-9a-f]{{8}}{re.escape(PART + target.suffix)})(\.db(-wal|-shm|-journal)?)?")
    pairs: dict[str, list[Path]] = {}
    for path in target.parent.iterdir():
        if found := unfinished.fullmatch(path.name):
            pairs.setdefault(found[1], []).append(path)
    for paths in pairs.values():
        with contextlib.suppress(OSError):  # another backup removes them, or they are another user's
            if now_s - max(path.stat().st_mtime for path in paths) > SILENT_S:
                for path in paths:
                    path.unlink()


def _refuse_full_disk(target: Path, total_bytes: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < total_bytes:
        raise BackupFailed(
            f"The backup needs about {total_bytes / 1e6:,.0f} MB, and the disk of {str(target.parent)!r} has "
            f"{free / 1e6:,.0f} MB free."
        )


def _runs_at_work(inventory: Inventory) -> set[str]:
    return {job.payload["run"] for job in inventory.jobs() if job.status == "running" and job.payload.get("run")}


def _held(files: Store, run_ids: Iterable[str], opened: contextlib.ExitStack) -> dict[str, BinaryIO]:
    """Open models and states of runs that train, so that they can be read as they are now."""
    held: dict[str, BinaryIO] = {}
    for run_id in run_ids:
        keys = files.keys(stored.run_folder(run_id))
        # The state first: a model that is newer than the state only means that an epoch is repeated.
        for suffix in (".npz", ".json", ".keras"):
            for key in (key for key in keys if key.endswith(suffix)):
                with contextlib.suppress(FileNotFoundError), files.local(key) as path:
                    held[key] = opened.enter_context(path.open("rb"))
    return held


def named_keys(inventory: Inventory, files: Store) -> Iterator[str]:
    """Yield the key of every file that the rows name, images by their ids, runs and measurements by their folders."""
    jobs = {job.id for job in inventory.jobs()}
    folders: dict[str, None] = {}
    for images in image_folders(inventory):
        yield from (images.key(image_id) for image_id in images.shapes)
        folders[stored.owner_folder(images.path)] = None
    for run in inventory.runs():
        yield from files.keys(stored.run_folder(run.id))
    for measurement in inventory.measurements():
        yield from files.keys(stored.measurement_folder(measurement.id))
    yield from files.keys(stored.MODELS)  # which no row names
    yield from (key for key in [stored.older_backbone_key()] if files.exists(key))
    for folder in folders:
        yield from (key for key in files.keys(stored.exports_folder(folder)) if stored.job_of_export(key) in jobs)
    logs = set(files.keys(stored.JOBS))
    yield from (key for job_id in sorted(jobs) if (key := stored.job_log_key(job_id)) in logs)


class _Writer:
    """Writes the zip and records what it contains."""

    def __init__(self, path: Path, total_bytes: int, progress: Progress) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._total, self._progress = total_bytes, progress
        self._hashes: dict[str, tuple[int, str]] = {}
        self.done = 0
        self.gone: list[str] = []

    @property
    def files(self) -> int:
        return len(self._hashes)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: Any) -> None:
        self._zip.close()

    def add_if_there(self, key: str, held: BinaryIO | None, files: Store) -> None:
        try:
            if held:
                self.add(key, held)
            else:
                with files.local(key) as path:
                    self.add(key, path.open("rb"))
        except FileNotFoundError:
            self.gone.append(key)

    def add(self, key: str, source: BinaryIO) -> None:
        """Copy a file into the zip in pieces, up to its size now; a log may grow while it is copied."""
        info = zipfile.ZipInfo(key, (1980, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED if Path(key).suffix in PACKED else zipfile.ZIP_STORED
        info.external_attr = 0o644 << 16
        digest, size = hashlib.sha256(), 0
        with source, self._zip.open(info, "w", force_zip64=True) as target:
            left = os.fstat(source.fileno()).st_size
            while left and (piece := source.read(min(PIECE_BYTES, left))):
                target.write(piece)
                digest.update(piece)
                size, left = size + len(piece), left - len(piece)
                self.done += len(piece)
                self._progress(min(self.done, self._total), self._total)
        self._hashes[key] = (size, digest.hexdigest())

    def finish(self, facts: dict[str, Any]) -> None:
        manifest = {
            "format": FORMAT,
            "maskloom": VERSION,
            **facts,
            "gone": self.gone,
            "files": {key: list(values) for key, values in self._hashes.items()},
        }
        info = zipfile.ZipInfo(MANIFEST, (1980, 1, 1, 0, 0, 0))
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
        self._zip.writestr(info, json.dumps(manifest))
