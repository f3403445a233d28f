"""What this machine computes with: devices, threads, precision, and how a network is spread over several GPUs."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from engine.core.machine import CPU_FLAGS, multiplies_bfloat16

BFLOAT16_GPU = (8, 0)
"""Compute capability from which NVIDIA's cards have bfloat16; older ones have float16 alone."""


@dataclass(frozen=True)
class Hardware:
    """What a run computes with. `precision` is a Keras policy; `replicas` networks share each batch."""

    devices: tuple[str, ...]
    cpu: str
    threads: int
    precision: str
    xla: bool
    replicas: int

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {"devices": list(self.devices)}


def hardware(precision: str = "auto") -> Hardware:
    """Return what this machine would compute with, given `training.precision`."""
    gpus = _gpus()
    return Hardware(
        devices=tuple(name for name, _ in gpus) or ("CPU",),
        cpu=_cpu_name(),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        precision=dtype_policy(precision),
        # Compiled for CPU it was a third slower than oneDNN's kernels (159 against 212 ms per step)
        xla=bool(gpus),
        replicas=max(len(gpus), 1),
    )


def dtype_policy(precision: str) -> str:
    """Return the Keras policy for `training.precision` on this machine.

    "auto" is half precision where the hardware multiplies it: bfloat16 on processors with AMX (half the time of a step)
    or AVX-512 BF16 (two thirds of it) and on newer GPUs, float16 on older GPUs; elsewhere it is float32.
    """
    if precision != "auto":
        return precision
    capabilities = [capability for _, capability in _gpus()]
    if capabilities:
        return "mixed_bfloat16" if min(capabilities) >= BFLOAT16_GPU else "mixed_float16"
    return "mixed_bfloat16" if multiplies_bfloat16(CPU_FLAGS) else "float32"


def prepare_threads() -> None:
    """Let one operation use all cores and few operations run side by side, which is what a U-Net is fastest with."""
    found = hardware("float32").threads
    with contextlib.suppress(RuntimeError):  # TensorFlow has started already, with its own choice of the same
        tf.config.threading.set_intra_op_parallelism_threads(found)
        tf.config.threading.set_inter_op_parallelism_threads(min(found, 2))


def spread() -> contextlib.AbstractContextManager[Any]:
    """Return the scope in which a network is made: a copy on each GPU where there are several."""
    if len(_gpus()) > 1:
        return tf.distribute.MirroredStrategy().scope()
    return contextlib.nullcontext()


def _gpus() -> list[tuple[str, tuple[int, int]]]:
    """Return (name, compute capability) of each GPU that TensorFlow can use."""
    found = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append((details.get("device_name", "GPU"), details.get("compute_capability", (0, 0))))
    return found


def _cpu_name() -> str:
    lines = CPU_FLAGS.read_text().splitlines() if CPU_FLAGS.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "CPU")
