"""Disk use by kind, counted in the background, because a large installation has several 100,000 files."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.care.leftovers import LOST_AND_FOUND
from engine.core.logs import FOLDER as LOGS
from engine.store import keys as stored
from engine.store.disk import CACHE, WORK
from engine.store.local import LocalStore

KINDS = {
    "images": (stored.DATASETS,),
    "labels": (stored.LABELS,),
    "runs": (stored.RUNS,),
    "predictions": (stored.PREDICTIONS,),
    "measurements": (stored.MEASUREMENTS,),
    "uploads": (stored.UPLOADS,),
    "logs": (LOGS, stored.JOBS),
    "cache": (CACHE, WORK),
    "set aside": (LOST_AND_FOUND,),
}


@dataclass(frozen=True)
class DiskUse:
    """Bytes by kind; "database" and "other" are the files outside of the folders."""

    by_kind: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        return sum(self.by_kind.values())


def disk_use(root: Path) -> DiskUse:
    """Return the disk use of DATA_ROOT by kind."""
    found = {kind: sum(LocalStore(root).size(folder) for folder in folders) for kind, folders in KINDS.items()}
    beside = [path for path in root.iterdir() if path.is_file()] if root.is_dir() else []
    for path in beside:
        kind = "database" if ".db" in path.name else "other"
        found[kind] = found.get(kind, 0) + path.stat().st_size
    return DiskUse({kind: count for kind, count in found.items() if count})


class DiskWatch:
    """Holds the last count, and counts again in a background thread when an old one is requested."""

    def __init__(self, root: Path, every_s: float = 300.0) -> None:
        self._root, self._every_s = root, every_s
        self._lock = threading.Lock()
        self._latest: DiskUse | None = None
        self._counted_at: float | None = None
        self._counting = False

    def latest(self) -> DiskUse | None:
        """Return the last count at once, None before there is one."""
        with self._lock:
            old = self._counted_at is None or time.monotonic() - self._counted_at > self._every_s
            if old and not self._counting:
                self._counting = True
                threading.Thread(target=self._count, name="disk use", daemon=True).start()
            return self._latest

    def _count(self) -> None:
        found = None
        try:
            found = disk_use(self._root)
        finally:
            with self._lock:
                self._latest, self._counted_at, self._counting = found or self._latest, time.monotonic(), False
