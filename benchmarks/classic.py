"""How fast the classic U-Net learns here, and what share of the processor's matrix multiplication that is.

    python -m benchmarks.classic

The peak is the best of several float32 products of two 4096 x 4096 matrices by the same library with the same threads.
A step is forward, backward and update; its work is counted as three times the forward pass (engine.network.plan).
"""

from __future__ import annotations

import json
import os
import time

import numpy as np
import typer

from engine.core.run_config import PRESETS
from engine.network.plan import network_plan

MATRIX = 4096
BATCH = 4
REPORTED_EPOCHS = 34
"""Epochs of the run whose validation Dice of 0.5998 is to be beaten."""


def main(steps: int = 4, as_json: bool = typer.Option(False, "--json")) -> None:
    """Time the classic network's training step in float32 beside a matrix product."""
    report = measure(steps)
    if as_json:
        print(json.dumps(report))
        return
    print(
        f"Matrix product {report['peak_gflops']:.0f} GFLOP/s. Classic training step of {BATCH} images: "
        f"{report['step_s']:.2f} s, {report['gflops']:.0f} GFLOP/s, a share of {report['share']:.2f}."
    )


def measure(steps: int = 4) -> dict[str, float]:
    """Return the best times of a training step and of a validation batch, and the share of the peak."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from engine.training.compiled import training_model
    from engine.training.hardware import prepare_threads

    prepare_threads()
    training = PRESETS["classic"].training.model_copy(update={"precision": "float32"})
    config = PRESETS["classic"].model_copy(update={"training": training})
    model, side = training_model(config), config.model.image_size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, side, side, 3)).astype(np.float32)
    targets = rng.integers(0, 2, (BATCH, side, side, 2)).astype(np.float32)
    model.train_on_batch(images, targets)
    model.test_on_batch(images, targets)
    peaks = [_peak()]
    step_s = min(_seconds(lambda: model.train_on_batch(images, targets)) for _ in range(steps))
    test_s = min(_seconds(lambda: model.test_on_batch(images, targets)) for _ in range(max(steps // 2, 1)))
    peaks.append(_peak())
    work = 3 * BATCH * network_plan(config.model).flops
    return {
        "peak_gflops": max(peaks) / 1e9,
        "step_s": step_s,
        "validation_batch_s": test_s,
        "gflops": work / step_s / 1e9,
        "share": work / step_s / max(peaks),
    }


def projected_s(report: dict[str, float], train_images: int, validation_images: int) -> float:
    """Return the seconds that the reported number of epochs would take the classic network."""
    batches = (
        -(-train_images // BATCH) * report["step_s"] + -(-validation_images // BATCH) * report["validation_batch_s"]
    )
    return REPORTED_EPOCHS * batches


def _peak() -> float:
    """Return the floating-point operations per second of the best of a few matrix products."""
    import tensorflow as tf

    matrix = tf.random.normal((MATRIX, MATRIX))
    product = tf.function(lambda a: tf.linalg.matmul(a, a))
    product(matrix)
    return 2 * MATRIX**3 / min(_seconds(lambda: product(matrix).numpy()) for _ in range(5))


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
