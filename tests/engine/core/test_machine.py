"""What the system reports of itself and of this process."""

from types import SimpleNamespace

import numpy as np
import psutil

from engine.core.machine import (
    free_memory_bytes,
    memory_bytes,
    multiplies_bfloat16,
    peak_memory_bytes,
    total_memory_bytes,
)


def test_memory_of_this_process_grows_with_an_array_and_its_peak_stays():
    before = memory_bytes()
    held = np.ones(300_000_000, np.uint8)
    assert memory_bytes() - before > 250_000_000
    peak = peak_memory_bytes()
    assert peak > before + 250_000_000
    del held
    assert memory_bytes() < peak - 200_000_000
    assert peak_memory_bytes() > peak - 10_000_000  # the kernel sums its counters inexactly
    assert 0 < free_memory_bytes() <= total_memory_bytes()


def test_free_memory_is_the_least_that_system_and_container_leave(tmp_path, monkeypatch):
    available = 3000 * 1024
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available))
    assert free_memory_bytes(tmp_path) == available
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory_bytes(tmp_path) == available
    (tmp_path / "memory.max").write_text("5000\n")
    assert free_memory_bytes(tmp_path) == 4000


def test_processors_say_whether_they_multiply_bfloat16(tmp_path):
    flags = tmp_path / "cpuinfo"
    assert not multiplies_bfloat16(flags)
    flags.write_text("flags : fpu avx2 avx512_bf16\n")
    assert multiplies_bfloat16(flags)
    flags.write_text("flags : fpu avx2\n")
    assert not multiplies_bfloat16(flags)
