"""What the home page says of the machine: disk, memory, queue, workers, versions, and what is about to run out."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

from sqlalchemy.orm import Session

from dashboard.facts import wording
from db import jobs
from db.models import JobStatus
from engine import VERSION
from engine.care.disk_use import DiskUse
from engine.core.machine import free_memory_bytes, total_memory_bytes
from engine.core.settings import Settings

MB = 1_000_000


@dataclass(frozen=True)
class Machine:
    """What the work runs on. Memory is None where the system does not say; `use` is None while it is being counted."""

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
        """A sentence while the disk is at or near the floor under which no job starts, else empty."""
        free, floor = wording.size(self.free_bytes), wording.size(self.floor_bytes)
        if self.free_bytes < self.floor_bytes:
            return (
                f"Only {free} of disk are free, and no job starts with less than {floor} (FREE_DISK_FLOOR_MB). Free "
                "some space, or delete runs and datasets that are not needed."
            )
        if self.free_bytes < 2 * self.floor_bytes:
            return f"{free} of disk are free. With less than {floor} (FREE_DISK_FLOOR_MB) no job starts any more."
        return ""

    @property
    def used(self) -> str:
        """What Maskloom itself takes of the disk, by kind, the largest first."""
        if self.use is None:
            return "What Maskloom uses is being counted."
        kinds = sorted(self.use.by_kind.items(), key=lambda found: found[1], reverse=True)
        parts = ", ".join(f"{kind} {wording.size(count)}" for kind, count in kinds)
        return f"Maskloom uses {wording.size(self.use.total_bytes)}" + (f": {parts}." if parts else ".")


def machine(session: Session, current: Settings, use: DiskUse | None, now: datetime) -> Machine:
    """Return what this installation runs on and how busy it is at the aware moment `now`."""
    active = jobs.active(session)
    lost = [job for job in active if jobs.is_lost(job, now, current.lost_after_s)]
    running = [job for job in active if job.status == JobStatus.RUNNING]
    existing = next(path for path in (current.data_root, *current.data_root.parents) if path.exists())
    disk = shutil.disk_usage(existing)
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=total_memory_bytes(),
        free_memory_bytes=free_memory_bytes(),
        free_bytes=disk.free,
        disk_bytes=disk.total,
        floor_bytes=current.free_disk_floor_mb * MB,
        use=use,
        waiting=len(active) - len(running),
        running=len(running) - len(lost),
        lost=len(lost),
        most_workers=current.max_workers,
        versions=_versions(),
    )


def _versions() -> str:
    # The version is read from the package's label: importing TensorFlow here would take seconds and much memory.
    packages = [("Streamlit", "streamlit"), ("TensorFlow", "tensorflow"), ("Keras", "keras")]
    named = [f"{title} {metadata.version(name)}" for title, name in packages]
    return " · ".join([f"Maskloom {VERSION}", f"Python {platform.python_version()}", *named])
