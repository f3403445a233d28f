"""What the system reports of itself and of this process."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from engine.core import machine
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


@pytest.mark.parametrize(
    ("cuda", "visible", "found"),
    [(True, None, 2), (True, "0,1", 2), (True, "", 0), (True, "-1", 0), (False, None, 0)],
)
def test_gpus_count_only_where_tensorflow_could_use_them(tmp_path, monkeypatch, cuda, visible, found):
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / bus).mkdir()
        (tmp_path / bus / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 0\n")
    monkeypatch.setattr(machine, "_has_cuda", lambda: cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus(tmp_path) == ("NVIDIA H200",) * found


def test_a_machine_without_a_driver_has_no_gpu(tmp_path):
    assert machine.gpus(tmp_path / "none") == ()


@pytest.mark.parametrize(("limit", "bytes_"), [("1000000000\n", 10**9), ("max\n", None), (None, None)])
def test_the_limit_of_a_container_is_its_memory(tmp_path, limit, bytes_):
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    assert machine.usable_memory_bytes(tmp_path) == (bytes_ or machine.total_memory_bytes())
