"""What dataset clusters reach: as proposed without truth, and with the right clusters ticked.

    python -m benchmarks.clusters scores ../shared/data/nuclei
    python -m benchmarks.clusters scores ../shared/data/eggs-and-pans --foreground 64 --clusters 32 --clusters 128
    python -m benchmarks.clusters scores ../shared/data/ecssd --part odd -p merging=1

"Right ticks" stand for a person who looks at the example patches. They are found WITH TRUTH: starting from none, the
cluster is ticked or unticked that raises the mean Dice over all images most, until none does. Then the masks are
computed with these ticks like any others. The proposal knows no truth.

Two bounds show what limits the ticks: every piece of every image labelled by its majority ("pieces"), and each image
with the ticks that are best for it alone ("own ticks"), both without the guided filter that masks get.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from benchmarks.harness import Folder, Foreground, Params, Part, pairs, suite
from benchmarks.labels import Pair, mean_scores
from engine.core.parameters import from_assignments, parse
from engine.imaging import metrics
from engine.labelling.base import find_method, fit_sample, fit_state, look_at, shrink
from engine.labelling.methods.dataset_clusters import DatasetClustersParams, memberships

METHOD = find_method("dataset_clusters")
app = suite(__doc__)


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


def tabulate(images: list[Pair], params: DatasetClustersParams, state: dict[str, Any]) -> tuple[Tables, float]:
    """Return the tables, and the mean Dice of pieces that each go where most of their pixels belong."""
    area, inside, truths, pieces_dice = [], [], [], []
    for image, truth in images:
        small = shrink(image, params.longest_side_px)
        share = cv2.resize(truth.astype(np.float32), small.shape[1::-1], interpolation=cv2.INTER_AREA)
        pieces, membership = memberships(small, params, state)
        count = membership.shape[1]
        owner = membership.argmax(1)
        within = np.bincount(pieces.labels.ravel(), share.ravel()) / share.size
        area.append(np.bincount(owner, pieces.areas, minlength=count))
        inside.append(np.bincount(owner, within, minlength=count))
        truths.append(float(share.mean()))
        pieces_dice.append(metrics.dice((within >= pieces.areas / 2)[pieces.labels], share >= 0.5))
    return Tables(np.array(area), np.array(inside), np.array(truths)), float(np.mean(pieces_dice))


@app.command()
def scores(
    folder: Folder,
    clusters: Annotated[list[int] | None, typer.Option(help="May be repeated; default: the default.")] = None,
    params: Params = None,
    part: Part = "all",
    foreground: Foreground = 1,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Scores of the proposal, of the right ticks and of both bounds; the clusters are fitted to that part alone."""
    images = list(pairs(folder, part, foreground))
    counts = [{"clusters": count} for count in clusters or []] or [{}]
    values = from_assignments(params or [])
    return [measure(images, parse(DatasetClustersParams, {**values, **count}), seed) for count in counts]


def measure(images: list[Pair], params: DatasetClustersParams, seed: int) -> dict[str, Any]:
    """Return what these parameters reach on images with their truth; seconds are processor time."""
    sample = fit_sample(images, METHOD)
    began = time.process_time()
    looks = [look_at(METHOD, image, params, seed) for image, _ in sample]
    looked = time.process_time()
    state = fit_state(METHOD, looks, params, seed)
    fitted = time.process_time()
    proposed = mean_scores(METHOD, params, images, state, seed)
    tables, pieces_dice = tabulate(images, params, state)
    right = " ".join(map(str, np.flatnonzero(tables.right_ticks()))) or "none"
    ticked = mean_scores(METHOD, params.model_copy(update={"ticked": right}), images, state, seed)
    return {
        "images": len(images),
        "clusters": len(state["clusters"]),
        "proposed_dice": proposed["dice"],
        "proposed_iou": proposed["iou"],
        "ticked_dice": ticked["dice"],
        "ticked_iou": ticked["iou"],
        "own_ticks_dice": tables.own_ticks_dice(),
        "pieces_dice": pieces_dice,
        "look_s": (looked - began) / len(sample),
        "fit_s": fitted - looked,
        "label_s": proposed["image_cpu_s"],
        "proposed": " ".join(str(number) for number, each in enumerate(state["clusters"]) if each["proposed"]),
        "right_ticks": right,
    }


if __name__ == "__main__":
    app()
