"""Masks taught by strokes, against truth: a person is simulated who marks what is wrong, and what that gains.

    python -m benchmarks.strokes masks ../shared/data/polyps --part odd --backbone mobilenet.onnx
    python -m benchmarks.strokes masks ../shared/data/nuclei --part odd --automatic threshold
    python -m benchmarks.strokes masks ../shared/data/eggs-and-pans --foreground 64 --part odd --without-backbone
    python -m benchmarks.strokes live ../shared/data/polyps --backbone mobilenet.onnx
    python -m benchmarks.strokes backbone mobilenet_v2_imagenet_notop.weights.h5 mobilenet.onnx

The person starts from the masks of the method that *Automatic* chooses for these images (`--automatic`), and sees 16
images of them. For each stroke they look at six, take the worst, and mark its largest error with a brush of 10 px, in
the class of truth there. Then all masks are drawn again. Images that the person never sees are scored, at their own
size. The defaults of the method were chosen on even files, see
docs/benchmarks.md.
"""

from __future__ import annotations

import hashlib
import shutil
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

from benchmarks.harness import Folder, Foreground, Part, browsing, data_root, engine, note, paths, suite
from db import datasets
from engine.datasets.truth_file import read_truth
from engine.imaging import codec, metrics
from engine.imaging.corrections import UNTOUCHED
from engine.labelling.base import shrink
from engine.labelling.cues.activations import digest
from engine.labelling.methods.strokes import StrokesParams
from engine.labelling.strokes.features import Features, find_features
from engine.labelling.strokes.model import StrokeModel, fit, predict
from engine.store.keys import backbone_key

POOL, LOOKS, BRUSH_PX = 16, 6, 10
MARKS = (0, 10, 20, 40, 80)
TESTED, LIVE_BRUSH_PX = 8, 14

# In the page: from now on, `followed_` is a promise of the milliseconds since the last stroke was released until the
# tiles of all test images show the answer to it in a painted frame, and of how many masks it changed.
FOLLOW = """
() => {
  const everything = (from) => [...from.querySelectorAll(".live .tile")].concat(
    ...[...from.querySelectorAll("*")].filter((e) => e.shadowRoot).map((e) => everything(e.shadowRoot)));
  const state = (name) => everything(document).map((tile) => tile.dataset[name]);
  addEventListener("pointerup", () => {
    const began = performance.now(), [answers, masks] = [state("answer"), state("shows")];
    const changed = () => state("shows").filter((mask, index) => mask !== masks[index]).length;
    window.followed_ = new Promise((resolve) => {
      const check = () => {
        if (state("answer").some((answer, index) => answer === answers[index])) return requestAnimationFrame(check);
        requestAnimationFrame(() => resolve([performance.now() - began, changed()]));
      };
      check();
    });
  }, true);
}
"""
app = suite(__doc__)


@dataclass
class Seen:
    """An image with its truth, bool (H, W), and at its working size what is known of it and marked on it."""

    name: str
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


@app.command()
def live(
    folder: Folder,
    backbone: Annotated[Path | None, typer.Option(help="An ONNX file, see the command `backbone`.")] = None,
    unit: Annotated[str, typer.Option(help="automatic, superpixels or pixels.")] = "automatic",
    strokes: int = 24,
) -> dict[str, Any]:
    """Seconds from a stroke's release until the masks of all test images have changed, in Chromium, with a real mouse.

    Strokes of class 1 and of the background take turns; every third is on the next of 8 test images. `first_s` is from
    opening the first image until the features of all are there.
    """
    with data_root() as root:
        if backbone:
            (root / backbone_key()).parent.mkdir()
            shutil.copyfile(backbone, root / backbone_key())
        dataset_id = engine(root, "import", str(folder.resolve()), "--name", "probe")["dataset"]
        with browsing(root) as (served, page):
            with served.installation.database.writing() as session:
                chosen = [image.id for image in datasets.probe_images(session, dataset_id, TESTED)]
                datasets.set_probe_images(session, dataset_id, chosen)
            page.set_viewport_size({"width": 1440, "height": 1000})
            page.goto(f"{served.address}/labels?dataset={dataset_id}&a=strokes,unit:{unit}")
            page.locator(".tile").first.click()
            began = time.perf_counter()
            page.locator(".live .told", has_text="Draw a stroke").wait_for(timeout=120_000)
            first_s = time.perf_counter() - began
            page.evaluate(FOLLOW)
            times, changed = [], []
            for number in range(strokes):
                if number and number % 3 == 0:
                    page.keyboard.press("n" if number % (3 * TESTED) else "p")
                    page.locator(f".live .tile[data-id='{chosen[number // 3 % TESTED]}'][aria-current=true]").wait_for()
                    page.get_by_text("Nothing drawn yet").wait_for()
                while (size := int(page.locator(".size output").text_content().split()[0])) != LIVE_BRUSH_PX:
                    page.keyboard.press("]" if size < LIVE_BRUSH_PX else "[")
                page.keyboard.press(str((number + 1) % 2))
                box = page.locator(".pane canvas").first.bounding_box()
                x, y = box["x"] + (0.2 + 0.05 * (number % 12)) * box["width"], box["y"] + 0.25 * box["height"]
                page.mouse.move(x, y + 60 * (number % 3))
                page.mouse.down()
                page.mouse.move(x + 30, y + 60 * (number % 3) + 10, steps=5)
                page.mouse.up()
                milliseconds, count = page.evaluate("window.followed_")
                times.append(milliseconds / 1000)
                changed.append(count)
    figures = {"median_s": statistics.median(times), "worst_s": max(times), "first_s": first_s}
    return {**figures, "masks_changed": statistics.median(changed), "each_s": times}


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
    return Seen(image.stem, features, full, small)


class Person:
    """Somebody who sees POOL of the images, and marks the worst error of LOOKS of them, again and again."""

    def __init__(self, seen: Sequence[Seen], automatic: str, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        order = [replace(seen[index]) for index in self._rng.permutation(len(seen))]
        self.pool, self.others = order[:POOL], order[POOL:]
        self.start = automatic
        self.model: StrokeModel | None = None
        self.fits: list[float] = []
        self.draws: list[float] = []

    def start_from(self, name: str, masks: Sequence[np.ndarray]) -> None:
        """Show other masks of the pool, uint8 (H, W), from now on. What is marked stays."""
        for each, levels in zip(self.pool, masks, strict=True):
            each.features = replace(each.features, starts={name: levels})
        self.start, self.model = name, None

    def mask(self, each: Seen) -> np.ndarray:
        """Return the foreground probability (H, W) that is shown of an image now."""
        model = self.model
        if model is None:
            return each.features.starts[self.start] / np.float32(255)
        return timed(self.draws, lambda: predict(model, each.features).probability)

    def stroke(self) -> None:
        """Mark one error. All masks follow."""
        looked_at = [self.pool[index] for index in self._rng.permutation(len(self.pool))[:LOOKS]]
        masks = [metrics.to_mask(self.mask(each), 0.5) for each in looked_at]
        scores = [metrics.dice(mask, each.truth) for mask, each in zip(masks, looked_at, strict=True)]
        for index in np.argsort(scores, kind="stable"):
            if mark(masks[index], looked_at[index]):
                break
        samples = [(each.features, each.marks) for each in self.pool]
        self.model = timed(self.fits, lambda: fit(samples, np.random.default_rng(0)))


def simulate(seen: Sequence[Seen], automatic: str, strokes: int, seed: int) -> dict[str, float]:
    """Return Dice after each number of strokes, and the mean time of a fit and of a mask in seconds."""
    person = Person(seen, automatic, seed)
    if not person.others:
        raise SystemExit(f"The person sees {POOL} images, so more are needed to score. Got {len(seen)}.")
    row: dict[str, float] = {"images": len(person.others)}
    for count in range(strokes + 1):
        if count in MARKS:
            row[f"after {count}"] = statistics.fmean(full_dice(person.mask(each), each.full) for each in person.others)
        if count < strokes:
            person.stroke()
    return row | {"fit_s": statistics.median(person.fits), "mask_s": statistics.median(person.draws)}


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
