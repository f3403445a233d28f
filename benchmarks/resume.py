"""Does a training that is killed and started again end as one that never was? To the last digit, or where not.

    python -m benchmarks.resume                                          # 24 images, 3 epochs, killed twice
    python -m benchmarks.resume --kills 4 --seed 7 -p model.dropout=0.5 -p training.ema=0.99
    python -m benchmarks.resume --kills 0                                # whether two whole runs agree at all

Real processes: one trains in peace, another in a folder of its own is killed with SIGKILL while it takes a step drawn
by --seed, and started again until it ends. Compared are all metrics of every epoch, an epoch that was trained twice
included, how the run ended, and every weight of best.keras and last.keras, bit by bit.
"""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import typer

from benchmarks.training import ROOT, samples
from engine.core.parameters import from_assignments
from engine.core.run_config import RunConfig, config_from

EPOCHS_FILE, RESULT_FILE = "epochs.jsonl", "result.json"
MODELS = ("best.keras", "last.keras")
STEP, RESUMED = "step", "resumed after epoch"


def main(
    data: Annotated[Path, typer.Option(help="Folder with images/ and truth/, paired by stem.")] = ROOT
    / "../shared/data/eggs-and-pans",
    foreground: Annotated[int, typer.Option(help="Truth values from here on are foreground.")] = 64,
    images: Annotated[int, typer.Option(min=2, help="How many pairs take part, spread over the folder.")] = 24,
    preset: str = "fast",
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    params: Annotated[list[str] | None, typer.Option("-p", help="group.name=value")] = None,
    kills: Annotated[int, typer.Option(min=0, help="How often the second run is killed; 0 trains it in peace.")] = 2,
    seed: Annotated[int, typer.Option(help="Draws the steps at which it is killed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of sentences.")] = False,
    train_in: Annotated[Path | None, typer.Option(hidden=True, help="Be the process that trains.")] = None,
) -> None:
    """Train twice, once with interruptions, and compare."""
    config = config_from(preset, from_assignments([f"training.epochs={epochs}", *(params or [])]))
    if train_in:
        train(config, data, foreground, images, train_in)
        return
    with tempfile.TemporaryDirectory() as temporary:
        peaceful, killed = Path(temporary) / "peaceful", Path(temporary) / "killed"
        steps, seconds = run_once(peaceful)
        killed_at, killed_seconds = run_killed(killed, steps, config.training.epochs, kills, seed)
        found = differences(peaceful, killed)
        result = json.loads((peaceful / RESULT_FILE).read_text())
    report = {
        "steps": steps,
        "epochs": result["epochs_done"],
        "killed_at": killed_at,
        "seconds": [round(seconds, 1), round(killed_seconds, 1)],
        "val_dice": result["best_metrics"].get("val_dice"),
        "differences": found,
    }
    print(json.dumps(report) if as_json else _sentences(report, kills))
    if found:
        raise typer.Exit(1)


def _sentences(report: dict[str, Any], kills: int) -> str:
    lines = [
        f"{report['steps']} steps in {report['epochs']} epochs: {report['seconds'][0]} s in peace, "
        f"{report['seconds'][1]} s with {len(report['killed_at'])} kills."
    ]
    lines += [f"  killed at step {step} of attempt {attempt}" for attempt, step in enumerate(report["killed_at"], 1)]
    if len(report["killed_at"]) < kills:
        lines.append(f"  {kills - len(report['killed_at'])} kills came too late: the run had ended.")
    lines.append(f"Validation Dice of the best epoch in peace: {report['val_dice']!r}")
    if not report["differences"]:
        lines.append("Equal to the last digit: all metrics of every epoch, how it ended, and every stored weight.")
    else:
        lines.append(f"NOT equal, {len(report['differences'])} differences. The first ones:")
        lines += [f"  {each}" for each in report["differences"][:8]]
    return "\n".join(lines)


def train(config: RunConfig, data: Path, foreground: int, images: int, folder: Path) -> None:
    """Train in `folder` and tell each step on standard output, and each epoch and the end in files there."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from engine.training.fit import Hooks, fit

    pairs = samples(data, foreground, config)
    pairs = pairs[:: max(len(pairs) // images, 1)][:images]
    folder.mkdir(parents=True, exist_ok=True)

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        with (folder / EPOCHS_FILE).open("a") as file:
            file.write(json.dumps({"epoch": epoch, **metrics}) + "\n")

    hooks = Hooks(
        on_start=lambda done: print(RESUMED, done, flush=True),
        on_batch=lambda epoch, done, total: print(STEP, epoch, done, total, flush=True),
        on_epoch=on_epoch,
    )
    result = asdict(fit(config, pairs, folder, hooks))
    (folder / RESULT_FILE).write_text(json.dumps(result))


def run_once(folder: Path, kill_at: int | None = None) -> tuple[int, float]:
    """Return (steps told, seconds) of one process that trains in `folder`, killed when it tells step `kill_at`.

    Raises:
        SystemExit: it ended badly by itself.
    """
    steps, began = 0, time.monotonic()
    command = [sys.executable, "-m", "benchmarks.resume", *sys.argv[1:], "--train-in", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            steps += line.startswith(STEP)
            if kill_at is not None and steps == kill_at:
                process.kill()
                break
    if process.returncode > 0:
        raise SystemExit(f"The process that trains ended with exit code {process.returncode}.")
    return steps, time.monotonic() - began


def run_killed(folder: Path, steps: int, epochs: int, kills: int, seed: int) -> tuple[list[int], float]:
    """Train in `folder` until the end, killed `kills` times; return the step of each kill, counted in its attempt."""
    rng = np.random.default_rng(seed)
    killed_at: list[int] = []
    seconds = 0.0
    while not (folder / RESULT_FILE).exists():
        ahead = steps - epochs_done(folder) * (steps // epochs)
        step = int(rng.integers(1, max(ahead, 2))) if len(killed_at) < kills else None
        took = run_once(folder, step)[1]
        seconds += took
        if step is not None and not (folder / RESULT_FILE).exists():
            killed_at.append(step)
    return killed_at, seconds


def epochs_done(folder: Path) -> int:
    """Return how many epochs a run has told of."""
    path = folder / EPOCHS_FILE
    return max((json.loads(line)["epoch"] for line in path.read_text().splitlines()), default=0) if path.exists() else 0


def differences(first: Path, second: Path) -> list[str]:
    """Return a sentence for each number in which two trained folders differ, metrics of early epochs first."""
    found = []
    expected = {row["epoch"]: row for row in _rows(first)}
    told = _rows(second)
    found += [f"epoch {epoch} is missing" for epoch in expected if epoch not in {row["epoch"] for row in told}]
    for row in told:
        found += _unequal(expected.get(row["epoch"], {}), row, f"epoch {row['epoch']}")
    results = [json.loads((folder / RESULT_FILE).read_text()) for folder in (first, second)]
    for result in results:
        del result["seconds"]
    found += _unequal(results[0].pop("best_metrics"), results[1].pop("best_metrics"), "best epoch")
    found += _unequal(*results, "result")
    for name in MODELS:
        found += _unequal_weights(weights(first / name), weights(second / name), name)
    return found


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / EPOCHS_FILE).read_text().splitlines()]


def _unequal(a: dict[str, Any], b: dict[str, Any], where: str) -> list[str]:
    return [
        f"{where}, {name}: {a.get(name)!r} and {b.get(name)!r}"
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    ]


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
    typer.run(main)
