"""What lies on the disk and belongs to nobody: files without a row, files half written, uploads nobody imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from engine.care.findings import Finding, counted
from engine.care.inventory import Inventory
from engine.care.shelves import Compared, Shelf, scanned
from engine.store.base import Store
from engine.store.disk import PART

LOST_AND_FOUND = "lost+found"
UPLOADS_KEPT_S = 7 * 24 * 3600.0
"""As long as the app itself keeps an upload that nobody imports."""

STILL_COMING_S = 3600.0
"""An upload writes to its file all the time; one that has not for this long has ended."""

EXPORTS = "exports"
OWNERS = ("datasets", "labels", "runs", "predictions")
_MOVED = f"move them to {LOST_AND_FOUND}."
_DELETED = "delete them."


def on_shelf(shelf: Shelf, result: Compared) -> Iterable[Finding]:
    """Yield the half-written files on a shelf and those that no row knows."""
    half = [f"{shelf.folder}/{name}" for name in result.unknown if PART in name]
    orphans = [f"{shelf.folder}/{name}" for name in result.unknown if PART not in name]
    yield from half_written(half, shelf.owner, shelf.datasets)
    yield from orphaned(orphans, shelf.owner, shelf.datasets)


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
    """Yield what is left over outside of the shelves: whole folders, exports, uploads, logs, and inside of runs."""
    runs = {run.id: run.dataset_id for run in inventory.runs()}
    labels = {found.id: found.dataset_id for found in inventory.label_sets()}
    predictions = {found.id: found.dataset_id for found in inventory.prediction_sets()}
    known = {
        "datasets": {dataset.id: dataset.id for dataset in inventory.datasets()},
        "labels": labels,
        "runs": runs,
        "predictions": predictions,
    }
    jobs = inventory.jobs()
    job_ids = {job.id for job in jobs}
    shelves = {"datasets": ("images", "thumbs", "truth"), "predictions": ("uncertainty",)}
    for place in OWNERS:
        astray = [entry.name for entry in scanned(files.root / place) if entry.name not in known[place]]
        yield from orphaned([f"{place}/{name}" for name in astray if PART not in name], place)
        yield from half_written([f"{place}/{name}" for name in astray if PART in name], place)
        for owner_id, dataset_id in known[place].items():
            if dataset_id in busy:
                continue
            folder, at_work = files.root / place / owner_id, frozenset({dataset_id})
            yield from half_written(_parts(folder / EXPORTS, files.root), f"{place}/{owner_id}", at_work)
            yield from orphaned(_old_exports(folder / EXPORTS, files.root, job_ids), f"{place}/{owner_id}", at_work)
            if place == "runs":
                inside = [path for path in _parts(folder, files.root) if f"/{EXPORTS}/" not in path]
                yield from half_written(inside, f"{place}/{owner_id}", at_work)
            else:
                strange = _strange_folders(folder, files.root, (*shelves.get(place, ()), EXPORTS), place)
                yield from orphaned(strange, f"{place}/{owner_id}", at_work)
    yield from _uploads(files, jobs, now)
    if not busy:  # a measurement keeps a folder of its own while it runs
        half = [f"jobs/{entry.name}" for entry in scanned(files.root / "jobs") if PART in entry.name]
        yield from half_written(half, "jobs")


def _strange_folders(folder: Path, root: Path, known: tuple[str, ...], place: str) -> list[str]:
    """Return folders that nothing of ours makes; in a dataset's folder, files beside its shelves too."""
    strange = []
    for entry in scanned(folder):
        is_folder = entry.is_dir(follow_symlinks=False)
        if (is_folder and entry.name not in known) or (not is_folder and place == "datasets"):
            strange.append(_below(root, entry.path))
    return strange


def _parts(folder: Path, root: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(_below(root, path) for path in folder.rglob(f"*{PART}*") if path.is_file())


def _old_exports(folder: Path, root: Path, job_ids: set[str]) -> list[str]:
    if not folder.is_dir():
        return []
    made = (path for path in folder.rglob("*") if path.is_file() and PART not in path.name)
    return sorted(_below(root, path) for path in made if path.name.partition(".")[0] not in job_ids)


def _uploads(files: Store, jobs: Iterable[object], now: datetime) -> Iterator[Finding]:
    wanted = {
        (job.payload.get("source") or {}).get("token") for job in jobs if job.status != "finished" and job.payload
    }
    stale, half = [], []
    for entry in scanned(files.root / "uploads"):
        silent_s = now.timestamp() - _newest(Path(entry.path))
        if entry.name not in wanted and silent_s > UPLOADS_KEPT_S:
            stale.append(f"uploads/{entry.name}")
        elif silent_s > STILL_COMING_S:
            half += _parts(Path(entry.path), files.root)
    if stale:
        what = counted(len(stale), "upload was", "uploads were")
        sentence = f"{what} brought more than {UPLOADS_KEPT_S / 86400:.0f} days ago and never imported."
        yield Finding("stale_upload", sentence, tuple(stale), mending=_DELETED, harmless=True)
    yield from half_written(half, "uploads")


def forgotten_logs(files: Store, job_ids: set[str]) -> list[str]:
    """Return logs of jobs that are not remembered: loading a network is forgotten when it is over, its log stays."""
    logs = (entry for entry in scanned(files.root / "jobs") if entry.name.endswith(".log"))
    return [entry.name for entry in logs if entry.name != "workers.log" and entry.name[:-4] not in job_ids]


def _newest(path: Path) -> float:
    """Return the last change of a folder or of anything in it, in seconds."""
    moments = [path.stat().st_mtime]
    for folder, _, names in os.walk(path):
        moments += [(Path(folder) / name).lstat().st_mtime for name in names]
    return max(moments)


def size(path: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue  # gone meanwhile
    return total


def _below(root: Path, path: str | Path) -> str:
    return Path(path).relative_to(root).as_posix()
