"""What this machine and this process have, as the system reports it, without TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

CPU_FLAGS = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16")
"""Processors with one of these multiply bfloat16 in hardware; elsewhere it is emulated, and slow."""

GROUP = Path("/sys/fs/cgroup")
STATUS = Path("/proc/self/status")


def multiplies_bfloat16(flags: Path = CPU_FLAGS) -> bool:
    """Return whether the processor multiplies bfloat16 in hardware."""
    words = flags.read_text().split() if flags.exists() else []
    return any(flag in words for flag in BFLOAT16_FLAGS)


def total_memory_bytes() -> int:
    """Return the memory of this machine in bytes."""
    return int(psutil.virtual_memory().total)


def free_memory_bytes(group: Path = GROUP) -> int:
    """Return how much memory a new process could take, in bytes. A container's own limit (cgroup v2) may be lower."""
    free = int(psutil.virtual_memory().available)
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip().isdecimal():
        free = min(free, max(int(limit.read_text()) - int(used.read_text()), 0))
    return free


def memory_bytes() -> int:
    """Return the memory that this process holds now, in bytes."""
    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held, in bytes. psutil knows it on Windows alone."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if STATUS.exists():  # on Linux `getrusage` may report that of the process that started this one
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # POSIX only; macOS reports bytes, other systems KiB

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
