"""Training and prediction of the presets: time to a given Dice, speed, share of the processor's peak, memory.

    python -m benchmarks.training fit --against-classic                # eggs-and-pans, preset fast
    python -m benchmarks.training fit ../shared/data/nuclei --foreground 128 -p training.epochs=5
    python -m benchmarks.training step                                 # classic, beside a matrix product
    python -m benchmarks.training predict ../shared/data/ecssd         # fast and classic
    python -m benchmarks.training memory --steps 20                    # 10,000 images of 512 px

The figure to beat on eggs-and-pans is a soft validation Dice of 0.5998, reported for a U-Net of 31 M parameters after
about four hours. The metric is taken over all pixels of the validation set at the network's size.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer

from benchmarks.harness import EGGS, Folder, Foreground, Params, data_root, note, paths, seconds, suite
from engine.core.parameters import from_assignments
from engine.core.run_config import PRESETS, RunConfig, config_from
from engine.datasets.ingest import content_hash
from engine.datasets.split import split
from engine.imaging.codec import decode_image
from engine.network.plan import network_plan
from engine.training.samples import Sample
from tests.support.installation import REPOSITORY
from tests.support.training_samples import discs

TO_BEAT = 0.5998
REPORTED_EPOCHS = 34
"""Epochs of the run whose validation Dice is to be beaten."""
BATCH, MATRIX = 4, 4096
DIFFERENT = 200
app = suite(__doc__)


def samples(folder: Path, foreground: int, config: RunConfig) -> list[Sample]:
    """Return the pairs of a folder, split as the app splits them; of exact duplicates the first alone."""

    unique: dict[str, tuple[Path, Path]] = {}
    for image, mask in paths(folder):
        unique.setdefault(content_hash(decode_image(image.read_bytes())), (image, mask))
    validation = set(split(list(unique), config.training.validation_split, config.training.seed)[1])
    lookup = tuple(int(value >= foreground) for value in range(256))
    return [
        Sample(image.stem, image, mask, "validation" if key in validation else "train", lookup)
        for key, (image, mask) in unique.items()
    ]


def step_of(config: RunConfig, precision: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return functions that take one training step and one validation step of a configuration on a ready batch.

    Nothing is read, augmented or resized in them: what is timed is forward, backward, update and metrics.
    """
    from engine.training.compiled import training_model

    training = config.training.model_copy(update={"precision": precision})
    model, side = training_model(config.model_copy(update={"training": training})), config.model.image_size
    rng, count = np.random.default_rng(0), config.training.batch_size
    images = rng.integers(0, 256, (count, side, side, 3)).astype(np.float32)
    classes = rng.integers(0, max(config.model.classes, 1) + 1, (count, side, side))
    channels = [classes > 0, np.ones_like(classes), classes][: 2 + (config.model.outputs > 1)]
    targets = np.stack(channels, axis=-1).astype(np.float32)
    return lambda: model.train_on_batch(images, targets), lambda: model.test_on_batch(images, targets)


@app.command()
def fit(
    folder: Folder = EGGS,
    foreground: Foreground = 64,
    preset: str = "fast",
    params: Params = None,
    against_classic: Annotated[
        bool, typer.Option("--against-classic", help="Time the classic network's step too, and project its 34 epochs.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep models and probe images in this folder.")] = None,
) -> dict[str, Any]:
    """Train once: its best epoch, minutes, and seconds to the figure to beat."""
    from engine.training.fit import Hooks
    from engine.training.fit import fit as train
    from engine.training.hardware import dtype_policy

    config = config_from(preset, from_assignments(params or []))
    passed_s: list[float] = []
    load_before = psutil.getloadavg()[0]

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        after_s = time.monotonic() - began
        if metrics.get("val_dice", 0) > TO_BEAT:
            passed_s.append(after_s)
        note(f"{epoch:4d}  {after_s / 60:6.2f} min  {' '.join(f'{name}={each:.4g}' for name, each in metrics.items())}")

    pairs = samples(folder, foreground, config)
    began = time.monotonic()
    with data_root(keep) as root:
        result = asdict(train(config, pairs, root, Hooks(on_epoch=on_epoch)))
    report = {
        **result,
        "minutes": (time.monotonic() - began) / 60,
        "precision": dtype_policy(config.training.precision),
        "load_before": load_before,
        "load_after": psutil.getloadavg()[0],
        "seconds_to_beat": passed_s[0] if passed_s else None,
    }
    if against_classic:
        classic = step()
        counts = [sum(pair.split == side for pair in pairs) for side in ("train", "validation")]
        steps = [-(-count // BATCH) for count in counts]
        epoch_s = steps[0] * classic["step_s"] + steps[1] * classic["validation_step_s"]
        report["classic_projected_s"] = REPORTED_EPOCHS * epoch_s
        report["times_as_long"] = REPORTED_EPOCHS * epoch_s / passed_s[0] if passed_s else None
    return report


@app.command()
def step(steps: int = 4) -> dict[str, float]:
    """The classic network's training step in float32: its share of the processor's matrix multiplication.

    The peak is the best of several float32 products of two 4096 x 4096 matrices by the same library with the same
    threads. The work of a step is counted as three times the forward pass (engine.network.plan).
    """
    import tensorflow as tf

    from engine.training.hardware import prepare_threads

    prepare_threads()
    config = PRESETS["classic"]
    config = config.model_copy(update={"training": config.training.model_copy(update={"batch_size": BATCH})})
    train, validate = step_of(config, "float32")
    matrix = tf.random.normal((MATRIX, MATRIX))
    product = tf.function(lambda a: tf.linalg.matmul(a, a))
    for work in (train, validate, lambda: product(matrix).numpy()):
        work()  # compiles
    products = [seconds(lambda: product(matrix).numpy()) for _ in range(5)]
    step_s = min(seconds(train) for _ in range(steps))
    validation_s = min(seconds(validate) for _ in range(max(steps // 2, 1)))
    products += [seconds(lambda: product(matrix).numpy()) for _ in range(5)]
    peak, speed = 2 * MATRIX**3 / min(products), 3 * BATCH * network_plan(config.model).flops / step_s
    return {
        "peak_gflops": peak / 1e9,
        "step_s": step_s,
        "validation_step_s": validation_s,
        "gflops": speed / 1e9,
        "share": speed / peak,
    }


@app.command()
def predict(
    folder: Folder,
    images: Annotated[int, typer.Option(min=9, help="The first eight are a batch that is not timed.")] = 200,
    classic_images: Annotated[int, typer.Option(min=9, help="The classic network is slow: it sees fewer.")] = 16,
    flips: Annotated[bool, typer.Option("--flips", help="Predict the mirror images too.")] = False,
) -> list[dict[str, Any]]:
    """Images a second that fast and classic predict, framing and resizing included.

    The images are decoded before; the networks are untrained, which costs the same. The clock starts with the first
    batch's answers, after TensorFlow has compiled. Both run in one process, one after the other, on all cores.
    """
    from engine.network.inference import BATCH_SIZE, predict_many
    from engine.network.networks import network

    decoded = [decode_image(image.read_bytes()) for image, _ in paths(folder)[:images]]
    rows: list[dict[str, Any]] = []
    for preset, count in (("classic", classic_images), ("fast", images)):
        config = config_from(preset)
        answers = predict_many(network(config.model), decoded[:count], config.data, flips=flips)
        for _ in range(BATCH_SIZE):
            next(answers)
        began = time.perf_counter()
        done = sum(1 for _ in answers)
        speed = done / (time.perf_counter() - began)
        row = {"preset": preset, "size_px": config.model.image_size, "framing": config.data.framing, "images": done}
        rows.append({**row, "images_per_s": speed, "times_classic": speed / rows[0]["images_per_s"] if rows else 1.0})
    return rows


@app.command()
def memory(
    images: int = 10_000,
    size: Annotated[int, typer.Option(help="Side of the images and of the network, in pixels.")] = 512,
    steps: Annotated[int, typer.Option(help="Batches to train before it stops.")] = 100,
) -> dict[str, Any]:
    """Peak memory of a training on many images, all decoded into one file on disk before the first batch.

    A few hundred different images are drawn into a temporary folder, and each stands for many; about 4 bytes a pixel
    are then needed for the training's own file. The figure is the peak resident memory of a process that only trains,
    the network included. Pages of the file that the system caches are not in it: it gives them up when memory is short.
    """
    with data_root() as folder:
        discs(folder, min(images, DIFFERENT), 0, size_px=size)
        command = [sys.executable, "-m", "benchmarks.training", "--json", "memory-of", str(folder), str(images)]
        done = subprocess.run([*command, str(size), str(steps)], cwd=REPOSITORY, check=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


@app.command(hidden=True)
def memory_of(folder: Path, images: int, size: int, steps: int) -> dict[str, Any]:
    """Train on drawn images until `steps` batches are done: seconds, and the peak memory of this process."""
    import resource

    from engine.training.fit import Hooks
    from engine.training.fit import fit as train

    config = config_from("fast", {"model": {"image_size": size}})
    held = round(config.training.validation_split * images)
    drawn = []
    for number in range(images):
        files = (folder / f"{kind}{number % DIFFERENT}.png" for kind in ("image", "target"))
        drawn.append(Sample(str(number), *files, "validation" if number < held else "train"))
    began, done, decoded_s = time.monotonic(), [], []
    hooks = Hooks(
        on_start=lambda _: decoded_s.append(time.monotonic() - began),
        on_batch=lambda *_: done.append(1),
        should_stop=lambda: len(done) >= steps,
    )
    train(config, drawn, folder / "run", hooks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "images": images,
        "size_px": size,
        "steps": len(done),
        "decode_s": decoded_s[0],
        "seconds": time.monotonic() - began,
        "peak_gib": peak / 2**30,
    }


if __name__ == "__main__":
    app()
