"""What this machine and this process have, as the system reports it, without TensorFlow."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

import psutil

CPU_FLAGS = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16")
"""Processors with one of these multiply bfloat16 in hardware; elsewhere it is emulated, and slow."""

GROUP = Path("/sys/fs/cgroup")
STATUS = Path("/proc/self/status")
DRIVER = Path("/proc/driver/nvidia/gpus")


def multiplies_bfloat16(flags: Path = CPU_FLAGS) -> bool:
    """Return whether the processor multiplies bfloat16 in hardware."""
    words = flags.read_text().split() if flags.exists() else []
    return any(flag in words for flag in BFLOAT16_FLAGS)


def total_memory_bytes() -> int:
    """Return the memory of this machine in bytes."""
    return int(psutil.virtual_memory().total)


def usable_memory_bytes(group: Path = GROUP) -> int:
    """Return the memory of this machine in bytes, or the limit of a container (cgroup v2) where that is lower."""
    limit = group / "memory.max"
    text = limit.read_text().strip() if limit.exists() else ""
    return min(total_memory_bytes(), int(text)) if text.isdecimal() else total_memory_bytes()


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def gpus(driver: Path = DRIVER) -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs of this machine, () where TensorFlow could use none.

    That is where CUDA_VISIBLE_DEVICES hides them, or where CUDA's libraries are not installed (`tensorflow[and-cuda]`).
    """
    found = [path.read_text() for path in sorted(driver.glob("*/information"))]
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    if not found or hidden or not _has_cuda():
        return ()
    lines = [line for text in found for line in text.splitlines() if line.startswith("Model:")]
    return tuple(line.partition(":")[2].strip() for line in lines)


def _has_cuda() -> bool:
    packaged = importlib.util.find_spec("nvidia") and importlib.util.find_spec("nvidia.cudnn")
    return bool(packaged or ctypes.util.find_library("cudnn"))


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
