"""Train on a folder of images and truth masks and print what each epoch reached.

    python benchmarks/training.py                                      # eggs-and-pans, preset fast
    python benchmarks/training.py --data ../shared/data/nuclei --foreground 128 -p training.epochs=5 --json

The figure to beat on eggs-and-pans is a soft validation Dice of 0.5998, reported for a U-Net of 31 M parameters after
about four hours. The metric is taken over all pixels of the validation set at the network's size.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import classic  # noqa: E402  (the repository is not installed)
from engine.core.parameters import from_assignments  # noqa: E402
from engine.core.run_config import RunConfig, config_from  # noqa: E402
from engine.datasets.ingest import content_hash  # noqa: E402
from engine.datasets.split import split  # noqa: E402
from engine.imaging.codec import decode_image  # noqa: E402

TO_BEAT = 0.5998


def main(
    data: Annotated[Path, typer.Option(help="Folder with images/ and truth/, paired by stem.")] = ROOT
    / "../shared/data/eggs-and-pans",
    foreground: Annotated[int, typer.Option(help="Truth values from here on are foreground.")] = 64,
    preset: str = "fast",
    params: Annotated[list[str] | None, typer.Option("-p", help="group.name=value")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of a table.")] = False,
    against_classic: Annotated[
        bool, typer.Option("--against-classic", help="Also time the classic network's step, and project its 34 epochs.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep models and probe pictures in this folder.")] = None,
) -> None:
    """Train once and report."""
    config = config_from(preset, from_assignments(params or []))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryDirectory() as temporary:
        report = measure(config, data, foreground, keep or Path(temporary), quiet=as_json)
    if against_classic:
        report["classic"] = _against_classic(report)
    if as_json:
        print(json.dumps(report))
        return
    print(
        f"{report['reason']} {report['minutes']:.1f} minutes, {report['parameter_count'] / 1e6:.2f} M parameters, load "
        f"{report['load_before']:.1f} before and {report['load_after']:.1f} after."
    )
    print(
        f"Best epoch {report['best_epoch']}: validation Dice {report['best_metrics'].get('val_dice', float('nan')):.4f}"
        f" (to beat on eggs-and-pans: {TO_BEAT})."
    )
    if against_classic:
        print(
            f"Passed {TO_BEAT} after {report['minutes_to_beat'] * 60:.0f} s. The classic network's 34 epochs would "
            f"take {report['classic']['projected_s'] / 3600:.2f} h here: "
            f"{report['classic']['ratio']:.0f} times as long."
        )


def _against_classic(report: dict) -> dict[str, float]:
    measured = classic.measure()
    projected = classic.projected_s(measured, report["train_images"], report["validation_images"])
    passed = report["minutes_to_beat"]
    return {**measured, "projected_s": projected, "ratio": projected / 60 / passed if passed else float("nan")}


def measure(config: RunConfig, data: Path, foreground: int, folder: Path, quiet: bool) -> dict:
    """Return the training's result, its epochs, minutes, and the machine's load around it."""
    from engine.training.fit import Hooks, fit
    from engine.training.hardware import dtype_policy

    epochs: list[dict[str, float]] = []
    began, load_before = time.monotonic(), os.getloadavg()[0]

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        minutes = (time.monotonic() - began) / 60
        epochs.append({"epoch": epoch, "minutes": minutes, **metrics})
        if not quiet:
            shown = " ".join(f"{name}={value:.4g}" for name, value in metrics.items())
            print(f"{epoch:4d}  {minutes:6.2f} min  {shown}", flush=True)

    pairs = samples(data, foreground, config)
    began = time.monotonic()
    result = fit(config, pairs, folder, Hooks(on_epoch=on_epoch))
    sides = [pair.split for pair in pairs]
    passed = next((row["minutes"] for row in epochs if row.get("val_dice", 0) > TO_BEAT), None)
    return {
        **asdict(result),
        "minutes": (time.monotonic() - began) / 60,
        "minutes_to_beat": passed,
        "train_images": sides.count("train"),
        "validation_images": sides.count("validation"),
        "precision": dtype_policy(config.training.precision),
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "epochs": epochs,
    }


def samples(data: Path, foreground: int, config: RunConfig) -> list:
    """Return the pairs below `data`, split as the app splits them; of exact doubles the first alone."""
    from engine.training.samples import Sample

    truth = {path.stem: path for path in sorted((data / "truth").iterdir())}
    pairs: dict[str, tuple[Path, Path]] = {}
    for image in sorted((data / "images").iterdir()):
        if image.stem in truth:
            pairs.setdefault(content_hash(decode_image(image.read_bytes())), (image, truth[image.stem]))
    if not pairs:
        raise typer.BadParameter(f"There are no pairs of images/ and truth/ in {data}.")
    validation = set(split(list(pairs), config.training.validation_split, config.training.seed)[1])
    lookup = tuple(int(value >= foreground) for value in range(256))
    return [
        Sample(image.stem, image, mask, "validation" if key in validation else "train", lookup)
        for key, (image, mask) in pairs.items()
    ]


if __name__ == "__main__":
    typer.run(main)
