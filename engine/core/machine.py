"""What this machine has, as far as the system tells it without TensorFlow."""

from __future__ import annotations

from pathlib import Path

CPU_FLAGS = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = ("amx_bf16", "avx512_bf16")
"""Processors with one of these multiply bfloat16 in hardware; elsewhere it is emulated, and slow."""

MEMORY = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def multiplies_bfloat16(flags: Path = CPU_FLAGS) -> bool:
    """Return whether the processor multiplies bfloat16 in hardware."""
    words = flags.read_text().split() if flags.exists() else []
    return any(flag in words for flag in BFLOAT16_FLAGS)


def free_memory_bytes(memory: Path = MEMORY, group: Path = GROUP) -> int | None:
    """Return how much memory a new process could take, in bytes; None where the system does not say.

    A container may have a limit of its own, which is less.
    """
    if not memory.exists():
        return None
    free = next((line for line in memory.read_text().splitlines() if line.startswith("MemAvailable")), None)
    if free is None:
        return None
    found = int(free.split()[1]) * 1024
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip().isdecimal():
        found = min(found, max(int(limit.read_text()) - int(used.read_text()), 0))
    return found
