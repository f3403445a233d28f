"""The hardware of this machine: devices, threads, precision, and how a network is distributed over several GPUs."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from engine.core.machine import CPU_FLAGS, multiplies_bfloat16

BFLOAT16_GPU = (8, 0)
"""Compute capability from which NVIDIA's cards support bfloat16; older ones support float16 only."""


@dataclass(frozen=True)
class Hardware:
    """The hardware of a run. `precision` is a Keras policy; each batch is divided among `replicas` networks."""

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
    """Return the hardware that a run on this machine uses, given `training.precision`."""
    gpus = _gpus()
    return Hardware(
        devices=tuple(name for name, _ in gpus) or ("CPU",),
        cpu=_cpu_name(),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        precision=dtype_policy(precision),
        # On CPU, XLA was a third slower than oneDNN's kernels (212 against 159 ms per step)
        xla=bool(gpus),
        replicas=max(len(gpus), 1),
    )


def dtype_policy(precision: str) -> str:
    """Return the Keras policy for `training.precision` on this machine.

    "auto" is half precision where the hardware supports it: bfloat16 on processors with AMX (half the time of a step)
    or AVX-512 BF16 (two thirds of it) and on newer GPUs, float16 on older GPUs; otherwise it is float32.
    """
    if precision != "auto":
        return precision
    capabilities = [capability for _, capability in _gpus()]
    if capabilities:
        return "mixed_bfloat16" if min(capabilities) >= BFLOAT16_GPU else "mixed_float16"
    return "mixed_bfloat16" if multiplies_bfloat16(CPU_FLAGS) else "float32"


def prepare_threads() -> None:
    """Let one operation use all cores and few operations run in parallel, which is fastest for a U-Net."""
    threads = hardware("float32").threads
    with contextlib.suppress(RuntimeError):  # TensorFlow has already started with its defaults
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(min(threads, 2))


def spread() -> contextlib.AbstractContextManager[Any]:
    """Return the scope in which to build a network: with several GPUs, a copy on each."""
    if len(_gpus()) > 1:
        return tf.distribute.MirroredStrategy().scope()
    return contextlib.nullcontext()


def _gpus() -> list[tuple[str, tuple[int, int]]]:
    """Return (name, compute capability) of each GPU that TensorFlow can use."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [(each.get("device_name", "GPU"), each.get("compute_capability", (0, 0))) for each in details]


def _cpu_name() -> str:
    lines = CPU_FLAGS.read_text().splitlines() if CPU_FLAGS.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "CPU")
