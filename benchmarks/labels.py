"""How well a pseudo-label method agrees with truth masks, and how long it takes, in a single process.

    python -m benchmarks.labels ../shared/data/ecssd                         # every method, its defaults
    python -m benchmarks.labels ../shared/data/ecssd --method saliency --part odd
    python -m benchmarks.labels ../shared/data/nuclei --method auto --part odd       # and what it chose
    python -m benchmarks.labels ../shared/data/eggs-and-pans --foreground 64 --method kmeans -p clusters=6 --json

The folder holds images/ and truth/, paired by stem. A pixel is foreground from a probability of 0.5; IoU and Dice are
means over images. A method that learns from the dataset first sees the images of the part, never their truth; what a
person ticks is given like any parameter: -p "ticked=2 5 7". The defaults of the methods were chosen on the even half of
ecssd and of nuclei (files 0, 2, 4 … in the order of their names) and never on the odd half, nor on eggs-and-pans:
`--part odd` shows unseen images.
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

from engine.core.parameters import from_assignments, parse
from engine.imaging import codec, metrics
from engine.labelling.base import (
    LabelParams,
    Method,
    draw,
    find_method,
    fit_sample,
    fit_state,
    look_at,
    methods,
)

PARTS = {"all": slice(None), "even": slice(0, None, 2), "odd": slice(1, None, 2)}


@dataclass(frozen=True)
class Score:
    """What one method reached on one folder; `seconds` is wall time for one image, `cpu_seconds` processor time.

    `learning_seconds` is the processor time to look at `looked_at` images and to learn from them, in all; `chose` is
    the recipe that the automatic method took, and why.
    """

    data: str
    part: str
    method: str
    images: int
    iou: float
    dice: float
    seconds: float
    cpu_seconds: float
    looked_at: int
    learning_seconds: float
    chose: dict[str, Any] | None


def learn(
    method: Method, params: LabelParams, folder: Path, part: str, seed: int
) -> tuple[dict[str, Any] | None, int, float]:
    """Return (what a method learns from one part of the folder, images looked at, processor seconds)."""
    if method.fit is None:
        return None, 0, 0.0
    began = time.process_time()
    sample = fit_sample(paths(folder, part), method)
    looks = [look_at(method, codec.decode_image(path.read_bytes()), params, seed) for path in sample]
    state = fit_state(method, looks, params, seed)
    return state, len(sample), round(time.process_time() - began, 2)


def paths(folder: Path, part: str) -> list[Path]:
    """Return the images of the folder that have a truth mask, in the order of their names."""
    truth = {path.stem for path in (folder / "truth").iterdir()}
    return sorted(path for path in (folder / "images").iterdir() if path.stem in truth)[PARTS[part]]


def pairs(folder: Path, part: str, foreground: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image (uint8 RGB) and truth (bool) of each pair in the folder, in the order of their names."""
    truth = {path.stem: path for path in (folder / "truth").iterdir()}
    for path in paths(folder, part):
        values = codec.decode_truth(truth[path.stem].read_bytes())
        yield codec.decode_image(path.read_bytes()), values >= foreground


def measure(folder: Path, part: str, foreground: int, name: str, values: dict[str, Any], seed: int) -> Score:
    """Return how the method `name` with these parameters does on one part of the folder."""
    method = find_method(name)
    params = parse(method.params, values)
    if not paths(folder, part):
        raise SystemExit(f"'{folder}' holds no pair of images/ and truth/ in its part '{part}'.")
    state, looked_at, learning_seconds = learn(method, params, folder, part, seed)
    overlaps, dices, seconds, cpu_seconds = [], [], [], []
    for image, truth in pairs(folder, part, foreground):
        began, cpu_began = time.perf_counter(), time.process_time()
        probability = draw(method, image, params, seed, state)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
        mask = metrics.to_mask(probability, 0.5)
        overlaps.append(metrics.iou(mask, truth))
        dices.append(metrics.dice(mask, truth))
    chose = {key: state[key] for key in ("method", "params", "sentence")} if "sentence" in (state or {}) else None
    means = [round(statistics.fmean(each), 4) for each in (overlaps, dices, seconds, cpu_seconds)]
    return Score(folder.name, part, name, len(overlaps), *means, looked_at, learning_seconds, chose)


def line(score: Score) -> str:
    """Return a score for people; below it what the automatic method chose."""
    text = (
        f"{score.data} ({score.part}, {score.images} images)  {score.method:17}  IoU {score.iou:.3f}"
        f"  Dice {score.dice:.3f}  {score.seconds:.3f} s/image ({score.cpu_seconds:.3f} s CPU)"
    )
    if score.looked_at:
        text += f"  after {score.learning_seconds:.1f} s CPU to learn from {score.looked_at} images"
    if score.chose:
        text += f"\n    chose {score.chose['method']} {score.chose['params']}: {score.chose['sentence']}"
    return text


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
            print(line(score), flush=True)
    if arguments.json:
        json.dump([asdict(score) for score in scores], sys.stdout)
        print()


if __name__ == "__main__":
    main()
