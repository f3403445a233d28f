"""Masks taught by strokes, against truth: a person is simulated who marks what is wrong, and what that gains.

    python -m benchmarks.strokes masks ../shared/data/polyps --part odd --backbone mobilenet.onnx
    python -m benchmarks.strokes masks ../shared/data/nuclei --part odd --automatic threshold
    python -m benchmarks.strokes masks ../shared/data/eggs-and-pans --foreground 64 --part odd --without-backbone
    python -m benchmarks.strokes backbone mobilenet_v2_imagenet_notop.weights.h5 mobilenet.onnx

The person starts from the masks of the method that *Automatic* chooses for these images (`--automatic`), and sees 16
images of them. For each stroke they look at six, take the worst, and mark its largest error with a brush of 10 px, in
the class of truth there. Then all masks are drawn again. Images that the person never sees are scored, at their own
size. The defaults of the method were chosen on even files, see
docs/benchmarks.md.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from threadpoolctl import threadpool_limits

from benchmarks.harness import Folder, Foreground, Part, note, paths, suite
from engine.datasets.truth_file import read_truth
from engine.imaging import codec, metrics
from engine.imaging.corrections import UNTOUCHED
from engine.labelling.base import shrink
from engine.labelling.methods.strokes import StrokesParams
from engine.labelling.strokes.features import Features, digest, find_features
from engine.labelling.strokes.model import StrokeModel, fit, predict

POOL, LOOKS, BRUSH_PX = 16, 6, 10
MARKS = (0, 10, 20, 40, 80)
app = suite(__doc__)


@dataclass
class Seen:
    """An image with its truth, bool (H, W), and at its working size what is known of it and marked on it."""

    features: Features
    full: np.ndarray
    truth: np.ndarray
    marks: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.marks = np.full(self.truth.shape, UNTOUCHED, np.uint8)


@app.command()
def masks(
    folder: Folder,
    automatic: Annotated[str, typer.Option(help="The method that Automatic chooses for these images.")] = "saliency",
    part: Part = "all",
    foreground: Foreground = 1,
    backbone: Annotated[Path | None, typer.Option(help="An ONNX file, see the command `backbone`.")] = None,
    without_backbone: Annotated[bool, typer.Option("--without-backbone", help="Ignore what it says.")] = False,
    images: Annotated[int, typer.Option(help="At most, evenly spread over the part.")] = 48,
    strokes: Annotated[int, typer.Option(help="Most strokes.")] = MARKS[-1],
    seeds: int = 3,
    cache: Annotated[Path | None, typer.Option(help="A folder that keeps features for the next time.")] = None,
) -> list[dict[str, Any]]:
    """Dice on images never shown after each number of strokes, for each seed and on average; seconds on one thread."""
    files = paths(folder, part)
    files = [files[index * len(files) // images] for index in range(images)] if len(files) > images else files
    cv2.setNumThreads(1)
    with threadpool_limits(limits=1), tempfile.TemporaryDirectory() as temporary:
        seen = [read(image, truth, foreground, backbone, cache or Path(temporary)) for image, truth in files]
        if without_backbone:
            local = find_features(np.zeros((8, 8, 3), np.uint8), 1, starts=()).rows.shape[1]
            seen = [
                replace(each, features=replace(each.features, rows=each.features.rows[:, :local], backbone=""))
                for each in seen
            ]
        rows = []
        for seed in range(seeds):
            rows.append({"seed": str(seed), **simulate(seen, automatic, strokes, seed)})
            note(str(rows[-1]))
    means = {name: statistics.fmean(row[name] for row in rows) for name in rows[0] if name != "seed"}
    return [*rows, {"seed": "mean", **means}]


@app.command("backbone")
def convert(weights: str, path: Path) -> dict[str, Any]:
    """Write the ONNX file of MobileNetV2 with the weights of a file, or with "imagenet"."""
    from engine.network.backbone import save_backbone  # TensorFlow is slow to load

    began = time.perf_counter()
    save_backbone(weights, path)
    return {"bytes": path.stat().st_size, "seconds": time.perf_counter() - began}


def read(image: Path, truth: Path, foreground: int, backbone: Path | None, cache: Path) -> Seen:
    """Return an image with its features, computed or kept from an earlier time."""
    params = StrokesParams()
    key = f"{image}, {digest(backbone) if backbone else ''}, {params.model_dump_json()}"
    kept = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
    if kept.exists():
        features = Features.from_bytes(kept.read_bytes())
    else:
        working = shrink(codec.decode_image(image.read_bytes()), params.longest_side_px)
        began = time.perf_counter()
        features = find_features(working, params.superpixels, backbone)
        note(f"{image.name}: features in {time.perf_counter() - began:.2f} s")
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(features.to_bytes())
    full = read_truth(truth.read_bytes()).values >= foreground
    small = cv2.resize(full.astype(np.float32), features.labels.shape[::-1], interpolation=cv2.INTER_AREA) >= 0.5
    return Seen(features, full, small)


def simulate(seen: Sequence[Seen], automatic: str, strokes: int, seed: int) -> dict[str, float]:
    """Return Dice after each number of strokes, and the mean time of a fit and of a mask in seconds."""
    rng = np.random.default_rng(seed)
    order = [replace(seen[index]) for index in rng.permutation(len(seen))]
    pool, others = order[:POOL], order[POOL:]
    if not others:
        raise SystemExit(f"The person sees {POOL} images, so more are needed to score. Got {len(seen)}.")
    model: StrokeModel | None = None
    fits, draws = [], []

    def drawn(each: Seen) -> np.ndarray:
        if model is None:
            return each.features.starts[automatic] / np.float32(255)
        return timed(draws, lambda: predict(model, each.features).probability)

    row: dict[str, float] = {"images": len(others)}
    for count in range(strokes + 1):
        if count in MARKS:
            row[f"after {count}"] = statistics.fmean(full_dice(drawn(each), each.full) for each in others)
        if count == strokes:
            break
        looked_at = [pool[index] for index in rng.permutation(len(pool))[:LOOKS]]
        masks = [metrics.to_mask(drawn(each), 0.5) for each in looked_at]
        scores = [metrics.dice(mask, each.truth) for mask, each in zip(masks, looked_at, strict=True)]
        for index in np.argsort(scores, kind="stable"):
            if mark(masks[index], looked_at[index]):
                break
        samples = [(each.features, each.marks) for each in pool]
        model = timed(fits, lambda samples=samples: fit(samples, np.random.default_rng(0)))
    return row | {"fit_s": statistics.median(fits), "mask_s": statistics.median(draws)}


def full_dice(probability: np.ndarray, truth: np.ndarray) -> float:
    large = cv2.resize(probability, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return metrics.dice(metrics.to_mask(large, 0.5), truth)


def timed(times: list[float], work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = work()
    times.append(time.perf_counter() - began)
    return result


def mark(mask: np.ndarray, each: Seen) -> bool:
    """Mark the largest error of a mask (H, W) in its middle, with a brush that keeps to one class; False without one.

    Where a stroke did not help, the person does not draw it again.
    """
    wrong = ((mask != each.truth) & (each.marks == UNTOUCHED)).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(wrong, connectivity=4)
    if count < 2:
        return False
    largest = np.pad((parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8), 1)
    depth = cv2.distanceTransform(largest, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    brush = np.zeros(mask.shape, np.uint8)
    cv2.circle(brush, (int(x), int(y)), BRUSH_PX // 2, 1, -1)
    each.marks[(brush > 0) & (each.truth == each.truth[y, x])] = each.truth[y, x]
    return True


if __name__ == "__main__":
    app()
