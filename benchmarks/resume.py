"""Does a training that is killed and started again end as one that never was? To the last digit, or where not.

    python -m benchmarks.resume compare                                  # 24 images, 3 epochs, killed twice
    python -m benchmarks.resume compare --kills 4 --seed 7 -p model.dropout=0.5 -p training.ema=0.99
    python -m benchmarks.resume compare --kills 0                        # whether two whole runs agree at all

Real processes: one trains undisturbed, another in a folder of its own is killed with SIGKILL in a step drawn by --seed,
and started again until it ends. Compared are all metrics of every epoch, an epoch that was trained twice included, how
the run ended, and every weight of best.keras and last.keras, bit by bit. Ends with 1 where anything differs.
"""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import typer

from benchmarks.harness import EGGS, Failed, Folder, Foreground, Params, data_root, suite
from benchmarks.training import samples
from engine.core.parameters import from_assignments
from engine.core.run_config import config_from
from tests.support.installation import REPOSITORY

EPOCHS_FILE, RESULT_FILE = "epochs.jsonl", "result.json"
MODELS = ("best.keras", "last.keras")
STEP = "step"
app = suite(__doc__)


@app.command()
def compare(
    folder: Folder = EGGS,
    foreground: Foreground = 64,
    images: Annotated[int, typer.Option(min=2, help="How many pairs take part, spread over the folder.")] = 24,
    preset: str = "fast",
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    params: Params = None,
    kills: Annotated[int, typer.Option(min=0, help="How often the second run is killed.")] = 2,
    seed: Annotated[int, typer.Option(help="Draws the steps at which it is killed.")] = 0,
) -> dict[str, Any] | Failed:
    """Train twice, once with interruptions, and compare."""
    training = [str(folder.resolve()), f"--foreground={foreground}", f"--images={images}", f"--preset={preset}"]
    training += [word for each in (f"training.epochs={epochs}", *(params or [])) for word in ("-p", each)]
    with data_root() as root:
        steps, seconds = run_once(root / "undisturbed", training)
        killed_at, killed_seconds = run_killed(root / "killed", training, steps, epochs, kills, seed)
        found = differences(root / "undisturbed", root / "killed")
        result = json.loads((root / "undisturbed" / RESULT_FILE).read_text())
    report = {
        "steps": steps,
        "epochs": result["epochs_done"],
        "killed_at_steps": killed_at,
        "kills_after_the_end": kills - len(killed_at),
        "seconds": seconds,
        "killed_seconds": killed_seconds,
        "val_dice": result["best_metrics"].get("val_dice"),
        "differences": found,
    }
    return Failed([report]) if found else report


@app.command(hidden=True)
def train(
    run: Path,
    folder: Folder,
    foreground: Foreground = 64,
    images: int = 24,
    preset: str = "fast",
    params: Params = None,
) -> dict[str, Any]:
    """Train in the folder `run`: print each step, and write each epoch and the end to files there."""
    from engine.training.fit import Hooks, fit

    config = config_from(preset, from_assignments(params or []))
    pairs = samples(folder, foreground, config)
    pairs = pairs[:: max(len(pairs) // images, 1)][:images]
    run.mkdir(parents=True, exist_ok=True)

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        with (run / EPOCHS_FILE).open("a") as file:
            file.write(json.dumps({"epoch": epoch, **metrics}) + "\n")

    hooks = Hooks(on_batch=lambda epoch, done, total: print(STEP, epoch, done, total, flush=True), on_epoch=on_epoch)
    result = asdict(fit(config, pairs, run, hooks))
    (run / RESULT_FILE).write_text(json.dumps(result))
    return result


def run_once(run: Path, training: list[str], kill_at: int | None = None) -> tuple[int, float]:
    """Return (steps reported, seconds) of one process that trains in `run`, killed when it reports step `kill_at`.

    Raises:
        SystemExit: it failed by itself.
    """
    steps, began = 0, time.monotonic()
    command = [sys.executable, "-m", "benchmarks.resume", "train", str(run), *training]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            steps += line.startswith(STEP)
            if kill_at is not None and steps == kill_at:
                process.kill()
                break
    if process.returncode > 0:
        raise SystemExit(f"The process that trains ended with exit code {process.returncode}.")
    return steps, time.monotonic() - began


def run_killed(
    run: Path, training: list[str], steps: int, epochs: int, kills: int, seed: int
) -> tuple[list[int], float]:
    """Train in `run` until the end, killed `kills` times; return the step of each kill, counted in its attempt."""
    rng = np.random.default_rng(seed)
    killed_at: list[int] = []
    seconds = 0.0
    while not (run / RESULT_FILE).exists():
        ahead = steps - epochs_done(run) * (steps // epochs)
        step = int(rng.integers(1, max(ahead, 2))) if len(killed_at) < kills else None
        seconds += run_once(run, training, step)[1]
        if step is not None and not (run / RESULT_FILE).exists():
            killed_at.append(step)
    return killed_at, seconds


def epochs_done(run: Path) -> int:
    """Return how many epochs a run has reported."""
    return max((row["epoch"] for row in _rows(run)), default=0) if (run / EPOCHS_FILE).exists() else 0


def differences(first: Path, second: Path) -> list[str]:
    """Return a sentence for each number in which two trained folders differ, metrics of early epochs first."""
    expected = {row["epoch"]: row for row in _rows(first)}
    reported = _rows(second)
    found = [f"epoch {epoch} is missing" for epoch in expected if epoch not in {row["epoch"] for row in reported}]
    for row in reported:
        found += _unequal(expected.get(row["epoch"], {}), row, f"epoch {row['epoch']}")
    results = [json.loads((run / RESULT_FILE).read_text()) for run in (first, second)]
    for result in results:
        del result["seconds"]
    found += _unequal(results[0].pop("best_metrics"), results[1].pop("best_metrics"), "best epoch")
    found += _unequal(*results, "result")
    for name in MODELS:
        found += _unequal_weights(weights(first / name), weights(second / name), name)
    return found


def _rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / EPOCHS_FILE).read_text().splitlines()]


def _unequal(a: dict[str, Any], b: dict[str, Any], where: str) -> list[str]:
    names = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    return [f"{where}, {name}: {a.get(name)!r} and {b.get(name)!r}" for name in names]


def weights(model: Path) -> dict[str, np.ndarray]:
    """Return every array of a stored Keras model by its path in the file."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(model) as file, h5py.File(io.BytesIO(file.read("model.weights.h5"))) as stored:
        stored.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _unequal_weights(a: dict[str, np.ndarray], b: dict[str, np.ndarray], where: str) -> list[str]:
    found = [f"{where}, {name} is in one model alone" for name in sorted(a.keys() ^ b.keys())]
    for name in sorted(a.keys() & b.keys()):
        one, other = a[name], b[name]
        if one.dtype != other.dtype or one.shape != other.shape:
            found.append(f"{where}, {name}: {one.dtype} {one.shape} and {other.dtype} {other.shape}")
        elif one.tobytes() != other.tobytes():  # bits: NaN equals itself, and 0 is not -0
            count = int(np.count_nonzero(one != other))
            largest = float(np.max(np.abs(one.astype(np.float64) - other), initial=0, where=one != other))
            found.append(f"{where}, {name}: {count} of {math.prod(one.shape)} values differ, by up to {largest:g}")
    return found


if __name__ == "__main__":
    app()
