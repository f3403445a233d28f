"""The state of the app's machine for the Home page: disk, memory, queue, workers and versions."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

from sqlalchemy.orm import Session

from dashboard.facts import wording
from db import jobs
from engine import VERSION
from engine.care.disk_use import DiskUse
from engine.core.machine import cores, free_memory_bytes, total_memory_bytes
from engine.core.settings import Settings
from engine.work.registration import capacity_here

MB = 1_000_000
KIND_WORDS = {"labels": "masks", "uploads": "files uploaded but not imported (deleted after a week)"}


@dataclass(frozen=True)
class Machine:
    """The machine that the app runs on. `use` is None while it is being computed.

    `running` counts the jobs of its own workers, `waiting` those that these can take, `lost` those of all machines.
    """

    cores: int
    memory_bytes: int
    free_memory_bytes: int
    free_bytes: int
    disk_bytes: int
    floor_bytes: int
    use: DiskUse | None
    waiting: int
    running: int
    lost: int
    most_workers: int
    versions: str

    @property
    def warning(self) -> str:
        """A warning while free disk space is near or below the minimum for starting jobs, else empty."""
        free, floor = wording.size(self.free_bytes), wording.size(self.floor_bytes)
        if self.free_bytes < self.floor_bytes:
            return (
                f"Only {free} of disk space are free, and no job starts with less than {floor} (FREE_DISK_FLOOR_MB). "
                "Free some space, or delete runs and datasets that are not needed."
            )
        if self.free_bytes < 2 * self.floor_bytes:
            return f"{free} of disk space are free. With less than {floor} (FREE_DISK_FLOOR_MB) no job starts."
        return ""

    @property
    def work(self) -> str:
        """What its workers do: "idle" when there is nothing to do."""
        parts = [f"{self.running} running"] if self.running else []
        parts += [f"{self.waiting:,} waiting"] if self.waiting else []
        return ", ".join(parts) or ("idle" if self.most_workers else "none here")

    @property
    def work_help(self) -> str:
        """How many jobs can run at the same time."""
        if not self.most_workers:
            return "Only machines that joined run jobs (MAX_WORKERS is 0)."
        return (
            f"At most {wording.count(self.most_workers, 'job')} run at the same time (MAX_WORKERS), on "
            f"{wording.count(self.cores, 'processor core')}. Others wait and start in order."
        )

    @property
    def used(self) -> str:
        """The disk space that Maskloom uses, by kind, largest first."""
        if self.use is None:
            return "The disk space that Maskloom uses is being computed."
        kinds = sorted(self.use.by_kind.items(), key=lambda item: item[1], reverse=True)
        parts = ", ".join(f"{KIND_WORDS.get(kind, kind)} {wording.size(count)}" for kind, count in kinds)
        return f"Maskloom uses {wording.size(self.use.total_bytes)}" + (f": {parts}." if parts else ".")


def machine(session: Session, current: Settings, use: DiskUse | None, now: datetime) -> Machine:
    """Return the machine and its load at the aware time `now`."""
    here = capacity_here(current)
    existing = next(path for path in (current.data_root, *current.data_root.parents) if path.exists())
    disk = shutil.disk_usage(existing)
    return Machine(
        cores=cores(),
        memory_bytes=total_memory_bytes(),
        free_memory_bytes=free_memory_bytes(),
        free_bytes=disk.free,
        disk_bytes=disk.total,
        floor_bytes=current.free_disk_floor_mb * MB,
        use=use,
        waiting=jobs.queued(session, None, here) if here else 0,
        running=jobs.running(session, now, current.lost_after_s),
        lost=jobs.lost(session, now, current.lost_after_s),
        most_workers=current.max_workers,
        versions=_versions(),
    )


def _versions() -> str:
    # From the package metadata: importing TensorFlow here would take seconds and much memory.
    packages = [("Streamlit", "streamlit"), ("TensorFlow", "tensorflow"), ("Keras", "keras")]
    named = [f"{title} {metadata.version(name)}" for title, name in packages]
    return " · ".join([f"Maskloom {VERSION}", f"Python {platform.python_version()}", *named])
