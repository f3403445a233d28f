"""Counts and objects against truth with one number an object, and how long measuring takes.

    python -m benchmarks.objects counts ../shared/data/nuclei --part odd
    python -m benchmarks.objects intervals ../shared/data/nuclei
    python -m benchmarks.objects speed --images 1000 --objects 100
    python -m benchmarks.objects page --images 1000 --objects 100

`counts` compares connected components and split objects of two kinds of masks, those of a recipe and truth itself, with
the folder "instances". F1 counts objects that overlap by an IoU above 0.5. The neck of 0.9 was chosen on even files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from benchmarks.harness import Folder, Part, browsing, data_root, engine, seconds, suite
from benchmarks.labels import learn
from db import datasets, measuring
from db.session import Database
from engine.core.settings import Settings
from engine.datasets.truth_file import read_truth
from engine.imaging import codec, metrics
from engine.labelling.base import draw, find_method
from engine.measuring.intervals import Interval, margin, moved, spread
from engine.measuring.objects import ObjectParams, find_objects
from engine.measuring.table import MaskedPicture, MaskSource, write_table
from tests.support.installation import REPOSITORY

app = suite(__doc__)


@app.command()
def counts(folder: Folder, part: Part = "all", method: str = "threshold") -> list[dict[str, Any]]:
    """Error of the count and F1 of objects, with and without splitting."""
    numbers, levels = truth_and_masks(folder, part, method)
    drawn = [level >= 128 for level in levels]
    rows = []
    for kind, masks in ((f"masks of {method}", drawn), ("union of truth", [number > 0 for number in numbers])):
        for split in (False, True):
            found = [find_objects(mask.astype(np.uint8), ObjectParams(split=split)).labels for mask in masks]
            rows.append({"masks": kind, "split": split, "images": len(numbers)} | agreement(found, numbers))
    return rows


@app.command()
def intervals(folder: Folder, method: str = "threshold", audits: int = 200) -> list[dict[str, Any]]:
    """How often the 90 % interval of an image's count and covered share holds the truth, for split objects."""
    numbers, levels = truth_and_masks(folder, "all", method)
    params = ObjectParams(split=True)
    spreads = [spread(level, None, params) for level in levels]
    truths = {
        "count": [float(number.max()) for number in numbers],
        "covered": [float((number > 0).mean()) for number in numbers],
    }
    unions = [find_objects((number > 0).astype(np.uint8), params).count for number in numbers]
    random = np.random.default_rng(0)
    halves = {"even": np.arange(0, len(numbers), 2), "odd": np.arange(1, len(numbers), 2)}
    rows = []
    for name, truth in truths.items():
        found = [getattr(each, name) for each in spreads]
        draws = [random.permutation(len(found))[:20] for _ in range(audits)]
        for calibrated_on, known, chosen in (
            ("even, held on odd", truth, [halves["even"]]),
            ("odd, held on even", truth, [halves["odd"]]),
            *([("even without its numbers", unions, [halves["even"]])] if name == "count" else []),
            ("20 drawn at random", truth, draws),
            ("nothing", truth, [np.array([], int)]),
        ):
            held = [coverage(found, truth, known, each) for each in chosen]
            share, width = np.mean(held, axis=0)
            rows.append({"of": name, "calibrated_on": calibrated_on, "held": share, "median_width": width})
    return rows


@app.command()
def page(
    images: Annotated[int, typer.Option()] = 1000,
    objects: Annotated[int, typer.Option()] = 100,
    times: Annotated[int, typer.Option(min=1)] = 5,
) -> dict[str, Any]:
    """Seconds of the job over drawn images of 512 × 512 px, of the page to first rows, and of a filter to new plots."""
    with data_root() as root:
        draw_discs(root / "pictures", images, objects)
        engine(root, "import", str(root / "pictures"), "--name", "discs")
        settings = Settings(data_root=root, database_url="")
        with Database(settings.resolved_database_url).writing() as session:
            [dataset] = datasets.listing(session)
            params = ObjectParams(split=True).model_dump(mode="json")
            measurement, _ = measuring.submit_objects(session, "truth", dataset.id, params)
        figures: dict[str, Any] = {"images": images, "job_s": seconds(partial(run_worker, settings))}
        with browsing(root) as (running, tab):
            address = f"{running.address}/measure?measurement={measurement.id}"
            rows, filters = [], []
            for _ in range(times):
                tab.goto(running.address)
                tab.get_by_role("heading", level=1).wait_for()
                began = time.perf_counter()
                tab.goto(address)
                tab.get_by_test_id("stDataFrame").first.wait_for()
                rows.append(time.perf_counter() - began)
            tab.get_by_role("tab", name="Plots").click()
            captions = tab.get_by_test_id("stCaptionContainer")  # to search the whole page takes long
            drawn = captions.filter(has_text=re.compile(r"of [0-9,]+ objects are drawn"))
            drawn.wait_for()
            tab.get_by_role("button", name="Filter", exact=True).click()
            tab.get_by_role("combobox", name="Columns").click()
            tab.get_by_role("option", name="Area (px²)").click()
            least = tab.get_by_role("spinbutton", name="At least")
            for number in range(times):
                before = drawn.inner_text()
                least.fill(str(100 * (number + 1)))
                began = time.perf_counter()
                least.press("Enter")
                captions.filter(has_text=before).wait_for(state="hidden")
                filters.append(time.perf_counter() - began)
        figures |= {"first_rows_s": rows[0], "rows_again_s": median(rows[1:] or rows)}
        return figures | {"filter_to_plots_s": median(filters)}


def run_worker(settings: Settings) -> None:
    """Run a worker until the queue is empty."""
    environment = settings.as_environment() | {"WARM_WORKER_S": "0"}
    command = [sys.executable, "-m", "engine.work.worker"]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)


def draw_discs(folder: Path, images: int, objects: int) -> None:
    """Write images of 512 × 512 px with noise and discs of several sizes, and their truth."""
    side = int(np.ceil(np.sqrt(objects)))
    cell, random = 512 // side, np.random.default_rng(0)
    for name in ("images", "truth"):
        (folder / name).mkdir(parents=True)
    for number in range(images):
        mask = np.zeros((512, 512), np.uint8)
        for index, radius in enumerate(random.uniform(0.08, 0.4, objects) * cell):
            centre = [int((place + 0.5) * cell) for place in divmod(index, side)]
            cv2.circle(mask, centre, int(radius), 255, -1)
        image = np.repeat((mask // 2 + random.integers(0, 60, mask.shape, np.uint8))[..., None], 3, axis=2)
        (folder / "images" / f"{number:04d}.png").write_bytes(codec.encode_png(image))
        (folder / "truth" / f"{number:04d}.png").write_bytes(codec.encode_png(mask))


def coverage(found: list[Interval], truth: list[float], known: list[float], chosen: np.ndarray) -> tuple[float, float]:
    """Return the share of the other images whose interval holds the truth, and the median width of intervals."""
    by = margin([found[index] for index in chosen], [known[index] for index in chosen])
    others = sorted(set(range(len(found))) - set(chosen.tolist()))
    bounds = [found[index] if by is None else moved(found[index], by) for index in others]
    held = np.mean([each.low <= truth[index] <= each.high for each, index in zip(bounds, others, strict=True)])
    return float(held), float(np.median([each.high - each.low for each in bounds]))


@app.command()
def speed(images: Annotated[int, typer.Option()] = 1000, objects: Annotated[int, typer.Option()] = 100):
    """Seconds to measure drawn images of 512 × 512 px with discs, intensity included, by all cores."""
    side = int(np.ceil(np.sqrt(objects)))
    cell = 512 // side
    tile = np.add.outer(*[(np.arange(cell) - cell / 2) ** 2] * 2) <= (cell * 0.35) ** 2
    mask = np.zeros((512, 512), np.uint8)
    mask[: side * cell, : side * cell] = np.tile(tile, (side, side))
    image = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    read: Callable[[], MaskedPicture] = partial(MaskedPicture, mask, mask * 255, image)
    sources = [MaskSource(f"{number}.png", read) for number in range(images)]
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        found = write_table(sources, Path(folder) / "objects.parquet", ObjectParams(split=True))
        return {"images": images, "objects": found, "seconds": time.perf_counter() - began}


def truth_and_masks(folder: Path, part: Part, method: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the numbers of objects, and the masks of a recipe, uint8 (H, W), of the images of a folder."""
    files = sorted((folder / "instances").glob("*.png"))
    files = files[{"all": 0, "even": 0, "odd": 1}[part] :: 1 if part == "all" else 2]
    recipe = find_method(method)
    params = recipe.params.model_validate({})
    paths = {path.stem: path for path in (folder / "images").iterdir()}
    images = [codec.read_image(paths[file.stem].read_bytes(), codec.Limits())[0] for file in files]
    state = learn(recipe, params, images, lambda image: image)
    levels = [metrics.probability_to_u8(draw(recipe, image, params, 0, state)) for image in images]
    return [read_numbers(file) for file in files], levels


def read_numbers(file: Path) -> np.ndarray:
    """Return the number of the object of each pixel, int (H, W), consecutive from 1."""
    content = read_truth(file.read_bytes(), codec.Limits(min_side_px=1))
    values = content.values if content.keys is None else np.array(content.keys)[content.values]
    known, numbers = np.unique(values, return_inverse=True)
    return numbers.reshape(values.shape) + int(known[0] != 0)


def agreement(found: list[np.ndarray], true: list[np.ndarray]) -> dict[str, float]:
    """Return the mean absolute error of the count, and F1 of objects at IoU above 0.5 over all images."""
    right = there = wanted = error = 0
    for labels, numbers in zip(found, true, strict=True):
        if labels.shape != numbers.shape:
            labels = codec.resize_mask(labels.astype(np.uint16), numbers.shape)
        count, truth = int(labels.max()), int(numbers.max())
        pairs = np.bincount(labels.ravel() * (truth + 1) + numbers.ravel(), minlength=(count + 1) * (truth + 1))
        pairs = pairs.reshape(count + 1, truth + 1)
        common = pairs[1:, 1:]
        union = pairs[1:].sum(1)[:, None] + pairs[:, 1:].sum(0)[None] - common
        right += int((2 * common > union).sum())
        there, wanted, error = there + count, wanted + truth, error + abs(count - truth)
    return {"count_error": error / len(true), "f1": 2 * right / (there + wanted)}


if __name__ == "__main__":
    app()
