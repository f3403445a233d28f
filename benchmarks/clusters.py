"""What dataset clusters reach: as proposed without truth, and with the right clusters ticked.

    python -m benchmarks.clusters ../shared/data/nuclei
    python -m benchmarks.clusters ../shared/data/eggs-and-pans --foreground 64 --clusters 16 32 64
    python -m benchmarks.clusters ../shared/data/ecssd --part odd -p merging=1 --json

"Right ticks" stand for a person who looks at the example patches. They are found WITH TRUTH: starting from none, the
cluster is ticked or unticked that raises the mean Dice over all images most, until none does. Then the masks are drawn
with these ticks like any others. The proposal knows no truth.

Two bounds say what limits the ticks: every piece of every image labelled by its majority ("pieces"), and each image
with the ticks that are best for it alone ("own ticks"), both without the guided filter that masks get.
The defaults were chosen on the even files of ecssd and nuclei.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.labels import PARTS, pairs
from engine.core.parameters import from_assignments, parse
from engine.imaging import metrics
from engine.labelling.base import draw, find_method, fit_sample, fit_state, look_at, shrink
from engine.labelling.cues.dataset_mixture import Mixture
from engine.labelling.cues.dataset_pieces import find_pieces
from engine.labelling.methods.dataset_clusters import DatasetClustersParams

METHOD = find_method("dataset_clusters")


@dataclass(frozen=True)
class Score:
    """What the clusters of one folder reach; Dice and IoU are means over images at threshold 0.5."""

    data: str
    part: str
    images: int
    clusters: int
    proposed: str
    proposed_dice: float
    proposed_iou: float
    right_ticks: str
    """Found with truth."""
    ticked_dice: float
    ticked_iou: float
    own_ticks_dice: float
    pieces_dice: float
    look_s: float
    """Processor time for one image; so is `label_s`."""
    fit_s: float
    label_s: float
    state_kb: float


@dataclass(frozen=True)
class Tables:
    """Shares of each image's area: in each cluster (I, K), foreground in each cluster (I, K), foreground (I,)."""

    area: np.ndarray
    inside: np.ndarray
    truth: np.ndarray

    def dice(self, ticked: np.ndarray) -> np.ndarray:
        """Return (I,): Dice of each image with the clusters bool (K,); 1 where mask and truth are empty."""
        both = self.area[:, ticked].sum(1) + self.truth
        return np.where(both > 0, 2 * self.inside[:, ticked].sum(1) / np.maximum(both, 1e-12), 1.0)

    def right_ticks(self) -> np.ndarray:
        """Return bool (K,): ticks and unticks that raise the mean Dice most, one after another, until none does."""
        ticked = np.zeros(self.area.shape[1], bool)
        best = self.dice(ticked).mean()
        while True:
            gains = [self.dice(ticked ^ one).mean() for one in np.eye(len(ticked), dtype=bool)]
            if max(gains) <= best + 1e-6:
                return ticked
            best = max(gains)
            ticked[int(np.argmax(gains))] ^= True

    def own_ticks_dice(self) -> float:
        """Return the mean Dice if each image had the ticks that are best for it: its purest clusters first."""
        order = np.argsort(-self.inside / np.maximum(self.area, 1e-12), axis=1)
        inside = np.cumsum(np.take_along_axis(self.inside, order, 1), axis=1)
        area = np.cumsum(np.take_along_axis(self.area, order, 1), axis=1)
        return float((2 * inside / np.maximum(area + self.truth[:, None], 1e-12)).max(1).mean())


def tabulate(
    images: list[tuple[np.ndarray, np.ndarray]], params: DatasetClustersParams, state: dict[str, Any]
) -> tuple[Tables, float]:
    """Return the tables, and the mean Dice of pieces that each go where most of their pixels belong."""
    mixture = Mixture.from_json(state["mixture"])
    area, inside, truths, pieces_dice = [], [], [], []
    for image, truth in images:
        small = shrink(image, params.longest_side_px)
        share = cv2.resize(truth.astype(np.float32), small.shape[1::-1], interpolation=cv2.INTER_AREA)
        pieces = find_pieces(small, params.merging)
        count = len(mixture.shares)
        owner = mixture.log_densities(pieces.features).argmax(1)
        within = np.bincount(pieces.labels.ravel(), share.ravel()) / share.size
        area.append(np.bincount(owner, pieces.areas, minlength=count))
        inside.append(np.bincount(owner, within, minlength=count))
        truths.append(float(share.mean()))
        pieces_dice.append(metrics.dice((within >= pieces.areas / 2)[pieces.labels], share >= 0.5))
    return Tables(np.array(area), np.array(inside), np.array(truths)), float(np.mean(pieces_dice))


def measure(folder: Path, part: str, foreground: int, values: dict[str, Any], seed: int) -> Score:
    """Return what these parameters reach on one part of the folder; the clusters are fitted to that part alone."""
    params = parse(DatasetClustersParams, values)
    images = list(pairs(folder, part, foreground))
    if not images:
        raise SystemExit(f"'{folder}' holds no pair of images/ and truth/ in its part '{part}'.")
    sample = fit_sample(images, METHOD)
    began = time.process_time()
    looks = [look_at(METHOD, image, params, seed) for image, _ in sample]
    looked = time.process_time()
    state = fit_state(METHOD, looks, params, seed)
    fitted = time.process_time()
    proposed = " ".join(str(number) for number, each in enumerate(state["clusters"]) if each["proposed"])
    (proposed_dice, proposed_iou), label_s = draw_all(images, params, seed, state)
    tables, pieces_dice = tabulate(images, params, state)
    right = " ".join(map(str, np.flatnonzero(tables.right_ticks()))) or "none"
    (ticked_dice, ticked_iou), _ = draw_all(images, params.model_copy(update={"ticked": right}), seed, state)
    return Score(
        data=folder.name,
        part=part,
        images=len(images),
        clusters=len(state["clusters"]),
        proposed=proposed,
        proposed_dice=round(proposed_dice, 4),
        proposed_iou=round(proposed_iou, 4),
        right_ticks=right,
        ticked_dice=round(ticked_dice, 4),
        ticked_iou=round(ticked_iou, 4),
        own_ticks_dice=round(tables.own_ticks_dice(), 4),
        pieces_dice=round(pieces_dice, 4),
        look_s=round((looked - began) / len(sample), 4),
        fit_s=round(fitted - looked, 4),
        label_s=round(label_s, 4),
        state_kb=round(len(json.dumps(state)) / 1000, 1),
    )


def draw_all(
    images: list[tuple[np.ndarray, np.ndarray]], params: DatasetClustersParams, seed: int, state: dict[str, Any]
) -> tuple[tuple[float, float], float]:
    """Return mean Dice and mean IoU of the drawn masks, and processor time for one."""
    dices, overlaps, seconds = [], [], []
    for image, truth in images:
        began = time.process_time()
        mask = metrics.to_mask(draw(METHOD, image, params, seed, state), 0.5)
        seconds.append(time.process_time() - began)
        dices.append(metrics.dice(mask, truth))
        overlaps.append(metrics.iou(mask, truth))
    return (float(np.mean(dices)), float(np.mean(overlaps))), float(np.mean(seconds))


def report(score: Score) -> str:
    """Return the score as a person reads it."""
    return "\n".join(
        [
            f"{score.data} ({score.part}, {score.images} images), {score.clusters} clusters",
            f"  proposal, no truth:  Dice {score.proposed_dice:.3f}  IoU {score.proposed_iou:.3f}",
            f"    ticked: {score.proposed}",
            f"  right ticks, FOUND WITH TRUTH:  Dice {score.ticked_dice:.3f}  IoU {score.ticked_iou:.3f}",
            f"    ticked: {score.right_ticks}",
            f"  bounds, with truth:  Dice {score.own_ticks_dice:.3f} own ticks, {score.pieces_dice:.3f} pieces",
            f"  CPU: look {score.look_s:.3f} s and label {score.label_s:.3f} s an image, fit {score.fit_s:.2f} s;"
            f" state {score.state_kb:.0f} kB",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with images/ and truth/")
    parser.add_argument("--clusters", type=int, nargs="*", default=[], help="numbers to try; default: the default")
    parser.add_argument("-p", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the method")
    parser.add_argument("--part", choices=list(PARTS), default="all", help="odd: images that chose no default")
    parser.add_argument("--foreground", type=int, default=1, help="truth values from this on are foreground")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    values = from_assignments(arguments.p)
    scores = []
    for clusters in arguments.clusters or [None]:
        chosen = values if clusters is None else {**values, "clusters": clusters}
        score = measure(arguments.data, arguments.part, arguments.foreground, chosen, arguments.seed)
        scores.append(asdict(score))
        if not arguments.json:
            print(report(score), flush=True)
    if arguments.json:
        json.dump(scores, sys.stdout)
        print()


if __name__ == "__main__":
    main()
