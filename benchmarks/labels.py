"""How well a pseudo-label method agrees with truth masks, and how long it takes, in a single process.

    python -m benchmarks.labels ../shared/data/ecssd                         # every method, its defaults
    python -m benchmarks.labels ../shared/data/ecssd --method saliency --part odd
    python -m benchmarks.labels ../shared/data/eggs-and-pans --foreground 64 --method kmeans -p clusters=6 --json

The folder holds images/ and truth/, paired by stem. A pixel is foreground from a probability of 0.5; IoU and Dice are
means over images. The defaults of the methods were chosen on the even half of ecssd and of nuclei (files 0, 2, 4 … in
the order of their names) and never on the odd half, nor on eggs-and-pans: `--part odd` shows unseen images.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import imaging, metrics
from engine.parameters import from_assignments, parse
from engine.pseudo_labels.base import draw, find_method, methods

PARTS = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class Score:
    """What one method reached on one folder; `seconds` is wall time for one image, `cpu_seconds` processor time."""

    data: str
    part: str
    method: str
    images: int
    iou: float
    dice: float
    seconds: float
    cpu_seconds: float


def pairs(folder: Path, part: str, foreground: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image (uint8 RGB) and truth (bool) of each pair in the folder, in the order of their names."""
    truth = {path.stem: path for path in (folder / "truth").iterdir()}
    images = sorted(path for path in (folder / "images").iterdir() if path.stem in truth)
    for path in images[PARTS[part]]:
        values = imaging.decode_truth(truth[path.stem].read_bytes())
        yield imaging.decode_image(path.read_bytes()), values >= foreground


def measure(folder: Path, part: str, foreground: int, name: str, values: dict[str, Any], seed: int) -> Score:
    """Return how the method `name` with these parameters does on one part of the folder."""
    method = find_method(name)
    params = parse(method.params, values)
    overlaps, dices, seconds, cpu_seconds = [], [], [], []
    for image, truth in pairs(folder, part, foreground):
        began, cpu_began = time.perf_counter(), time.process_time()
        probability = draw(method, image, params, seed)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
        mask = metrics.to_mask(probability, 0.5)
        overlaps.append(metrics.iou(mask, truth))
        dices.append(metrics.dice(mask, truth))
    if not overlaps:
        raise SystemExit(f"'{folder}' holds no pair of images/ and truth/ in its part '{part}'.")
    means = [round(statistics.fmean(each), 4) for each in (overlaps, dices, seconds, cpu_seconds)]
    return Score(folder.name, part, name, len(overlaps), *means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with images/ and truth/")
    parser.add_argument("--method", action="append", choices=list(methods()), help="default: all; may be repeated")
    parser.add_argument("-p", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the method")
    parser.add_argument("--part", choices=list(PARTS), default="all", help="odd: images that chose no default")
    parser.add_argument("--foreground", type=int, default=1, help="truth values from this on are foreground")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    values = from_assignments(arguments.p)
    scores = []
    for name in arguments.method or methods():
        score = measure(arguments.data, arguments.part, arguments.foreground, name, values, arguments.seed)
        scores.append(score)
        if not arguments.json:
            print(
                f"{score.data} ({score.part}, {score.images} images)  {score.method:17}  IoU {score.iou:.3f}"
                f"  Dice {score.dice:.3f}  {score.seconds:.3f} s/image ({score.cpu_seconds:.3f} s CPU)",
                flush=True,
            )
    if arguments.json:
        json.dump([asdict(score) for score in scores], sys.stdout)
        print()


if __name__ == "__main__":
    main()
