"""A disk of its own for DATA_ROOT, small enough to be filled: a file system in memory, or a limit where none may mount.

Mounting needs root. Without it, "full" is a limit of 0 bytes on every file that the installation's processes write
(RLIMIT_FSIZE, set from outside while they run): writes fail with EFBIG instead of ENOSPC, from Python and from C alike.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

SIZE_MB = 384
BALLAST = ".ballast"
STEP_BYTES = 4096


class Disk:
    """The disk under a folder. `mounted` says which of the two kinds it is."""

    def __init__(self, folder: Path, size_mb: int = SIZE_MB) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "maskloom-faults", str(folder)]
        try:
            self.mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            self.mounted = False

    def fill(self, leave_bytes: int, processes: Callable[[], Collection[int]]) -> None:
        """Leave no more than `leave_bytes` free; without a disk of its own, nothing at all."""
        if not self.mounted:
            _limit(processes(), 0)
            return
        with (self.folder / BALLAST).open("ab") as ballast:
            free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
            with contextlib.suppress(OSError):
                os.posix_fallocate(ballast.fileno(), 0, max(free - leave_bytes, 1))

    def free(self, processes: Callable[[], Collection[int]]) -> None:
        """Give the room back."""
        if not self.mounted:
            _limit(processes(), resource.RLIM_INFINITY)
        (self.folder / BALLAST).unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


def _limit(processes: Collection[int], largest_file_bytes: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_FSIZE, (largest_file_bytes, resource.RLIM_INFINITY))
