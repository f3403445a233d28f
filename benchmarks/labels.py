"""Label methods against truth, in a single process: scores, processor time, whether their quality can be trusted.

    python -m benchmarks.labels scores ../shared/data/ecssd --method saliency --part odd
    python -m benchmarks.labels scores ../shared/data/eggs-and-pans --foreground 64 --method kmeans -p clusters=6
    python -m benchmarks.labels quality ../shared/data/nuclei --method threshold --part odd
    python -m benchmarks.labels speed ../shared/data/ecssd --images 60 --peer-images 12
    python -m benchmarks.labels kinds --method lines
    python -m benchmarks.labels verdicts
    python -m benchmarks.labels audit ../shared/data/polyps --method saliency -p longest_side_px=160

A pixel is foreground from a probability of 0.5; scores are means over images. A method that learns from the dataset
first sees the images of the part, never their truth. Clusters that a person would tick are given as a parameter:
-p "ticked=2 5 7". The defaults of the methods were chosen on the even files of ecssd and nuclei, and never on the odd
ones nor on eggs-and-pans.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cv2
import numpy as np
import typer
from scipy.stats import spearmanr
from skimage import graph, segmentation
from threadpoolctl import threadpool_limits

from benchmarks.harness import Folder, Foreground, Params, Part, note, pairs, paths, seconds, suite
from engine.core.parameters import from_assignments, parse
from engine.datasets.truth_file import read_truth
from engine.imaging import codec, metrics
from engine.labelling.base import (
    DEFAULT_METHOD,
    LabelParams,
    Method,
    draw,
    find_method,
    fit_sample,
    fit_state,
    look_at,
    methods,
)
from engine.labelling.quality import Quality, assess
from engine.prediction.audit import estimate
from tests.support import drawn_kinds, verdict_kinds

WORST_SHARE = 0.2
T = TypeVar("T")
Pair = tuple[np.ndarray, np.ndarray]
OneMethod = Annotated[str, typer.Option("--method", help="A label method.")]
app = suite(__doc__)


def learn(
    method: Method, params: LabelParams, images: Sequence[T], read: Callable[[T], np.ndarray], seed: int = 0
) -> dict[str, Any] | None:
    """Return what a method learns from images; None where it learns nothing. `read` decodes those that it looks at."""
    if method.fit is None:
        return None
    return fit_state(
        method, [look_at(method, read(image), params, seed) for image in fit_sample(images, method)], params, seed
    )


def read_image(pair: tuple[Path, Path]) -> np.ndarray:
    return codec.decode_image(pair[0].read_bytes())


@app.command()
def scores(
    folder: Folder,
    names: Annotated[list[str] | None, typer.Option("--method", help="Default: all; may be repeated.")] = None,
    params: Params = None,
    part: Part = "all",
    foreground: Foreground = 1,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """IoU and Dice of methods, and their time for an image.

    Of all methods those are left out that need strokes, or weights where there are none.
    """
    files, rows = paths(folder, part), []
    for name in names or methods():
        method = find_method(name)
        chosen = parse(method.params, from_assignments(params or []))
        began = time.process_time()
        try:
            state = learn(method, chosen, files, read_image, seed)
        except ValueError as error:
            if names:
                raise
            note(f"Without {name}: {error}")
            continue
        learned_s = time.process_time() - began
        row = mean_scores(method, chosen, pairs(folder, part, foreground), state, seed)
        if state and "sentence" in state:
            reached = state["verdict"]["verdict"]
            note(f"{name} chose {state['method']} {state['params']}, {reached}: {state['sentence']}")
        rows.append({"method": name, **row, "learning_cpu_s": learned_s})
    return rows


def mean_scores(
    method: Method, params: LabelParams, images: Iterable[Pair], state: dict[str, Any] | None, seed: int = 0
) -> dict[str, float]:
    """Return means of IoU, Dice, wall time and processor time over images with their truth."""
    rows = [score_image(method, params, pair, state, seed) for pair in images]
    return {"images": len(rows), **{name: statistics.fmean(row[name] for row in rows) for name in rows[0]}}


def score_image(
    method: Method, params: LabelParams, pair: Pair, state: dict[str, Any] | None, seed: int = 0
) -> dict[str, float]:
    began, cpu_began = time.perf_counter(), time.process_time()
    mask = metrics.to_mask(draw(method, pair[0], params, seed, state), 0.5)
    took = {"image_s": time.perf_counter() - began, "image_cpu_s": time.process_time() - cpu_began}
    return {"iou": metrics.iou(mask, pair[1]), "dice": metrics.dice(mask, pair[1]), **took}


@app.command("audit")
def audit_(
    folder: Folder,
    name: OneMethod = DEFAULT_METHOD,
    params: Params = None,
    part: Part = "all",
    foreground: Foreground = 1,
    images: Annotated[int, typer.Option(help="Images in an audit.")] = 20,
    audits: Annotated[int, typer.Option(help="Simulated audits.")] = 200,
) -> dict[str, Any]:
    """How often the interval of an audit with truth, of images drawn at random, covers the mean of all images."""
    method, rng = find_method(name), np.random.default_rng(0)
    chosen = parse(method.params, from_assignments(params or []))
    state = learn(method, chosen, paths(folder, part), read_image)
    rows = [score_image(method, chosen, pair, state) for pair in pairs(folder, part, foreground)]
    found: dict[str, Any] = {"images": len(rows), "drawn": images, "audits": audits}
    for score in ("dice", "iou"):
        all_ = np.array([row[score] for row in rows])
        drawn = [estimate(rng.choice(all_, images, replace=False)) for _ in range(audits)]
        covered = statistics.fmean(each.low <= all_.mean() <= each.high for each in drawn)
        width = statistics.fmean(each.high - each.low for each in drawn)
        found |= {score: float(all_.mean()), f"{score}_covered": covered, f"{score}_width": width}
    return found


@app.command()
def kinds(
    method: OneMethod = DEFAULT_METHOD,
    params: Params = None,
    count: int = drawn_kinds.COUNT,
    write: Annotated[Path | None, typer.Option(help="Write the images here: <kind>/images and <kind>/truth.")] = None,
) -> list[dict[str, Any]]:
    """Scores of a method on the drawn kinds of image, fitted to each kind where it learns from a dataset."""
    if write:
        drawn_kinds.write(write, count)
    found = find_method(method)
    chosen, rows = parse(found.params, from_assignments(params or [])), []
    for kind in drawn_kinds.KINDS:
        images = list(drawn_kinds.drawn(kind, count))
        state = learn(found, chosen, images, lambda pair: pair[0])
        rows.append({"kind": kind, **mean_scores(found, chosen, images, state)})
    return rows


@app.command("verdicts")
def verdicts_(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders with images/ and truth/.")] = None,
    part: Part = "all",
    foreground: Foreground = 1,
    drawn: Annotated[bool, typer.Option(help="Also the twelve drawn kinds.")] = True,
    count: Annotated[int, typer.Option(help="Images in a drawn set.")] = verdict_kinds.COUNT,
) -> list[dict[str, Any]]:
    """The verdict of Automatic on sets of images, against the Dice of what it chose, on the images that it tried.

    Right are "trust" from a Dice of 0.65, "unclear" below 0.4, and "look" in between. `without` is the verdict with
    those limits that suit the other sets best.
    """
    kinds = verdict_kinds.KINDS if drawn else ()
    rows = [_verdict(folder.name, _tried(folder, part, foreground)) for folder in folders or ()]
    rows += [_verdict(kind, list(verdict_kinds.drawn(kind, count))) for kind in kinds]
    for row in rows:
        row["without"] = _named(row["trust"], *_best_limits([each for each in rows if each is not row]))
        row["right"] = row["verdict"] == row["wanted"]
    note(
        f"{sum(row['right'] for row in rows)} of {len(rows)} right, "
        f"{sum(row['without'] == row['wanted'] for row in rows)} with limits from the others."
    )
    return rows


def _tried(folder: Path, part: str, foreground: int) -> list[Pair]:
    """Return the images of a folder that Automatic tries, with their truth."""
    files = fit_sample(paths(folder, part), find_method("auto"))
    return [(read_image(file), read_truth(file[1].read_bytes()).values >= foreground) for file in files]


def _verdict(name: str, images: Sequence[Pair]) -> dict[str, Any]:
    method = find_method("auto")
    state = learn(method, method.params(), images, lambda pair: pair[0])
    if state is None:
        raise SystemExit("Automatic learned nothing.")
    dice = mean_scores(method, method.params(), images, state)["dice"]
    wanted, reached = _named(dice, 0.65, 0.4), state["verdict"]
    note(f"{name}: {state['method']} {state['params']}, Dice {dice:.3f}, {reached['verdict']} {reached['trust']:.2f}")
    return {"set": name, "chosen": state["method"], "dice": dice, "wanted": wanted, **reached}


def _named(value: float, trusted: float, unclear: float) -> str:
    return "trust" if value >= trusted else "look" if value >= unclear else "unclear"


def _best_limits(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the limits of trust that are right most often; of equal ones those in the middle."""
    values = sorted({0.0, 1.0, *(row["trust"] for row in rows)})
    between = [(low + high) / 2 for low, high in itertools.pairwise(values)]
    pairs_ = [(high, low) for high in between for low in between if low <= high]
    right = [sum(_named(row["trust"], *limits) == row["wanted"] for row in rows) for limits in pairs_]
    best = [limits for limits, count in zip(pairs_, right, strict=True) if count == max(right)]
    return best[len(best) // 2] if best else (0.65, 0.4)


@dataclass(frozen=True)
class Judged:
    """The quality of one mask, and its Dice and precision against truth."""

    quality: Quality
    dice: float
    precision: float


@app.command()
def quality(
    folder: Folder,
    method: OneMethod = DEFAULT_METHOD,
    params: Params = None,
    part: Part = "all",
    foreground: Foreground = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Spearman's rank correlation of the label-free quality with true Dice, and what dropping the worst fifth gains."""
    found = find_method(method)
    chosen = parse(found.params, from_assignments(params or []))
    state = learn(found, chosen, paths(folder, part), read_image, seed)

    def redraw(image: np.ndarray) -> np.ndarray:
        return draw(found, image, chosen, seed, state)

    judged = []
    for image, truth in pairs(folder, part, foreground):
        probability = redraw(image)
        mask = metrics.to_mask(probability, 0.5)
        area = np.count_nonzero(mask)
        precision = np.count_nonzero(mask & truth) / area if area else 0.0
        judged.append(Judged(assess(image, probability, redraw), metrics.dice(mask, truth), precision))
    if len(judged) < 2:
        raise SystemExit(f"'{folder}' holds fewer than two pairs of images/ and truth/ in its part '{part}'.")
    return summarise(judged)


def summarise(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return rank correlations of the quality and its parts with Dice, and means without the worst by quality."""
    order = sorted(judged, key=lambda each: each.quality.score)
    kept = order[round(WORST_SHARE * len(order)) :]
    unclear = [each.dice for each in judged if not each.quality.clear]
    dices = [each.dice for each in judged]
    by_part = {name: [each.quality.parts[name] for each in judged] for name in judged[0].quality.parts}
    return {
        "images": len(judged),
        "dice": statistics.fmean(dices),
        "spearman": correlation([each.quality.score for each in judged], dices),
        "parts": {name: correlation(values, dices) for name, values in by_part.items()},
        "unclear": len(unclear),
        "unclear_dice": statistics.fmean(unclear) if unclear else None,
        "kept_dice": statistics.fmean(each.dice for each in kept),
        "precision": statistics.fmean(each.precision for each in judged),
        "kept_precision": statistics.fmean(each.precision for each in kept),
    }


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None where one side is the same throughout."""
    return float(spearmanr(a, b).statistic) if np.ptp(a) and np.ptp(b) else None


def peer(image: np.ndarray) -> np.ndarray:
    """Return the regions int (H, W) into which scikit-image's normalised cut divides an image.

    SLIC with 400 pieces of compactness 30, mean-colour graph, `cut_normalized`: the recipe of its own example.
    """
    pieces = segmentation.slic(image, compactness=30, n_segments=400, start_label=1)
    return graph.cut_normalized(pieces, graph.rag_mean_color(image, pieces, mode="similarity"))


@app.command()
def speed(
    folder: Folder,
    method: OneMethod = "saliency",
    images: Annotated[int, typer.Option(help="Evenly spread over the folder.")] = 60,
    peer_images: Annotated[int, typer.Option(help="The peer is slow, so it sees fewer.")] = 6,
) -> dict[str, Any]:
    """Processor seconds for an image on one core, beside scikit-image's normalised cut on the same images.

    Both run in turn in one process held to one thread, on decoded images; the ratio is over those that both saw. The
    peer then does them again with as many threads as its libraries take by themselves: wall time, on all cores.
    """
    files = paths(folder)
    files = files[:: max(1, len(files) // images)][:images]
    every = max(1, len(files) // peer_images)
    found = find_method(method)
    params = found.params()
    cv2.setNumThreads(1)
    own, both, shared = [], [], []
    with threadpool_limits(limits=1):
        draw(found, read_image(files[0]), params, 0)  # imports and tables, once
        for index, file in enumerate(files):
            image = read_image(file)
            own.append(seconds(lambda image=image: draw(found, image, params, 0), time.process_time))
            if index % every == 0:
                both.append((own[-1], seconds(lambda image=image: peer(image), time.process_time)))
                shared.append(image)
    threaded = [seconds(lambda image=image: peer(image)) for image in shared]
    ours, theirs = map(sum, zip(*both, strict=True))
    return {
        "images": len(own),
        "mean_s": statistics.fmean(own),
        "median_s": statistics.median(own),
        "peer_images": len(both),
        "peer_mean_s": theirs / len(both),
        "times_faster": theirs / ours,
        "peer_threads_mean_s": statistics.fmean(threaded),
        "times_faster_than_threads": sum(threaded) / ours,
    }


if __name__ == "__main__":
    app()
