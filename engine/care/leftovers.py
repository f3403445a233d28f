"""What lies on the disk and belongs to nobody: files without a row, files half written, uploads nobody imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.care.findings import Finding, counted
from engine.care.image_folders import Compared, ImageFolder
from engine.care.restore import STAGE
from engine.store import keys as stored
from engine.store.base import MissingFile, Store
from engine.store.disk import PART

if TYPE_CHECKING:
    from db.inventory import Inventory

LOST_AND_FOUND = "lost+found"
UPLOADS_KEPT_S = 7 * 24 * 3600.0
"""As long as the app itself keeps an upload that nobody imports."""

STILL_COMING_S = 3600.0
"""An upload writes to its file all the time; one that has not for this long has ended."""

_MOVED = f"move them to {LOST_AND_FOUND}."
_DELETED = "delete them."


def in_folder(folder: ImageFolder, result: Compared) -> Iterable[Finding]:
    """Yield the half-written files in an image folder and those that no row knows."""
    half = [f"{folder.path}/{name}" for name in result.unknown if PART in name]
    orphans = [f"{folder.path}/{name}" for name in result.unknown if PART not in name]
    yield from half_written(half, folder.owner, folder.datasets)
    yield from orphaned(orphans, folder.owner, folder.datasets)


def half_written(items: list[str], where: str, datasets: frozenset[str] = frozenset()) -> Iterator[Finding]:
    if items:
        sentence = f"{counted(len(items), 'file is', 'files are')} half written in {where}: the writer was cut off."
        yield Finding("half_written", sentence, tuple(items), "", datasets, _DELETED, harmless=True)


def orphaned(items: list[str], where: str, datasets: frozenset[str] = frozenset()) -> Iterator[Finding]:
    if items:
        sentence = f"{counted(len(items), 'file or folder', 'files or folders')} in {where}: no row names "
        sentence += "it." if len(items) == 1 else "them."
        yield Finding("orphan", sentence, tuple(items), "", datasets, _MOVED, harmless=True)


def elsewhere(inventory: Inventory, files: Store, now: datetime, busy: set[str]) -> Iterator[Finding]:
    """Yield what is left over elsewhere: whole folders, exports, uploads, logs, and inside of runs."""
    runs = {run.id: run.dataset_id for run in inventory.runs()}
    labels = {found.id: found.dataset_id for found in inventory.label_sets()}
    predictions = {found.id: found.dataset_id for found in inventory.prediction_sets()}
    known = {
        stored.DATASETS: {dataset.id: dataset.id for dataset in inventory.datasets()},
        stored.LABELS: labels,
        stored.RUNS: runs,
        stored.PREDICTIONS: predictions,
        stored.MEASUREMENTS: {found.id: found.dataset_id for found in inventory.measurements()},
    }
    jobs = inventory.jobs()
    job_ids = {job.id for job in jobs}
    for place in stored.OWNERS:
        found = files.listing(place)
        astray = [name for name in sorted(found.files + found.folders) if name not in known[place]]
        yield from orphaned([f"{place}/{name}" for name in astray if PART not in name], place)
        yield from half_written([f"{place}/{name}" for name in astray if PART in name], place)
        for owner_id, dataset_id in known[place].items():
            if dataset_id in busy:
                continue
            folder, at_work = f"{place}/{owner_id}", frozenset({dataset_id})
            exports = stored.exports_folder(folder)
            half = files.unfinished(exports)
            half += files.unfinished(stored.features_folder(owner_id)) if place == stored.DATASETS else []
            yield from half_written(half, folder, at_work)
            old = [key for key in files.keys(exports) if stored.job_of_export(key) not in job_ids]
            yield from orphaned(old, folder, at_work)
            if place in (stored.RUNS, stored.MEASUREMENTS):
                yield from half_written([key for key in files.unfinished(folder) if key not in half], folder, at_work)
            if place != stored.RUNS:
                yield from orphaned(_strange_entries(files, folder, place), folder, at_work)
    yield from half_written([STAGE] if files.exists(STAGE) else [], "DATA_ROOT")
    yield from _uploads(files, jobs, now)
    if not busy:  # a measurement keeps a folder of its own while it runs
        logs = files.listing(stored.JOBS)
        half = [f"{stored.JOBS}/{name}" for name in sorted(logs.files + logs.folders) if PART in name]
        yield from half_written(half, stored.JOBS)


def _strange_entries(files: Store, folder: str, place: str) -> list[str]:
    """Return folders that Maskloom does not create; in a dataset's folder, files beside its image folders too."""
    known, found = (*stored.SUBFOLDERS.get(place, ()), stored.EXPORTS), files.listing(folder)
    beside = found.files if place == stored.DATASETS else []
    return sorted(f"{folder}/{name}" for name in [*beside, *found.folders] if name not in known or name in beside)


def _uploads(files: Store, jobs: Iterable[Any], now: datetime) -> Iterator[Finding]:
    wanted = {
        (job.payload.get("source") or {}).get("token") for job in jobs if job.status != "finished" and job.payload
    }
    stale: list[str] = []
    half: list[str] = []
    for key, silent_s in uploads_by_age(files, now.timestamp()):
        if key.rpartition("/")[2] not in wanted and silent_s > UPLOADS_KEPT_S:
            stale.append(key)
        elif silent_s > STILL_COMING_S:
            half += files.unfinished(key)
    if stale:
        what = counted(len(stale), "upload was", "uploads were")
        sentence = f"{what} brought more than {UPLOADS_KEPT_S / 86400:.0f} days ago and never imported."
        yield Finding("stale_upload", sentence, tuple(stale), repair=_DELETED, harmless=True)
    yield from half_written(half, stored.UPLOADS)


def uploads_by_age(files: Store, now_s: float) -> Iterator[tuple[str, float]]:
    """Yield (folder, seconds since anything in it changed) of every upload."""
    for token in files.listing(stored.UPLOADS).folders:
        with suppress(stored.BadKey, MissingFile):
            yield (key := stored.upload_folder(token)), now_s - files.modified(key)


def forgotten_logs(files: Store, job_ids: set[str]) -> list[str]:
    """Return logs of jobs that have no row: that of loading a network is deleted at its end, and its log stays."""
    logs = [name for name in files.listing(stored.JOBS).files if name.endswith(".log")]
    return [name for name in logs if name != stored.WORKERS_LOG and name[:-4] not in job_ids]
