"""What the system says of itself, read from files like its own."""

from engine.core.machine import free_memory_bytes, multiplies_bfloat16


def test_free_memory_is_the_least_that_system_and_container_leave(tmp_path):
    memory = tmp_path / "meminfo"
    assert free_memory_bytes(memory, tmp_path) is None
    memory.write_text("MemTotal:  8000 kB\nMemAvailable:   3000 kB\n")
    assert free_memory_bytes(memory, tmp_path) == 3000 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory_bytes(memory, tmp_path) == 3000 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert free_memory_bytes(memory, tmp_path) == 4000


def test_processors_say_whether_they_multiply_bfloat16(tmp_path):
    flags = tmp_path / "cpuinfo"
    assert not multiplies_bfloat16(flags)
    flags.write_text("flags : fpu avx2 avx512_bf16\n")
    assert multiplies_bfloat16(flags)
    flags.write_text("flags : fpu avx2\n")
    assert not multiplies_bfloat16(flags)
