"""Counts and objects against truth with one number an object, and how long measuring takes.

    python -m benchmarks.objects counts ../shared/data/nuclei --part odd
    python -m benchmarks.objects speed --images 1000 --objects 100

`counts` compares connected components and split objects of two kinds of masks, those of a recipe and truth itself, with
the folder "instances". F1 counts objects that overlap by an IoU above 0.5. The neck of 0.9 was chosen on even files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.harness import Folder, Part, suite
from benchmarks.labels import learn
from engine.datasets.truth_file import read_truth
from engine.imaging import codec, metrics
from engine.labelling.base import draw, find_method
from engine.measuring.objects import ObjectParams, find_objects
from engine.measuring.table import MaskedPicture, MaskSource, write_table

app = suite(__doc__)


@app.command()
def counts(folder: Folder, part: Part = "all", method: str = "threshold") -> list[dict[str, Any]]:
    """Error of the count and F1 of objects, with and without splitting."""
    files = sorted((folder / "instances").glob("*.png"))
    files = files[{"all": 0, "even": 0, "odd": 1}[part] :: 1 if part == "all" else 2]
    numbers = [read_numbers(file) for file in files]
    recipe = find_method(method)
    params = recipe.params.model_validate({})
    paths = {path.stem: path for path in (folder / "images").iterdir()}
    images = [codec.read_image(paths[file.stem].read_bytes(), codec.Limits())[0] for file in files]
    state = learn(recipe, params, images, lambda image: image)
    drawn = [metrics.probability_to_u8(draw(recipe, image, params, 0, state)) >= 128 for image in images]
    rows = []
    for kind, masks in ((f"masks of {method}", drawn), ("union of truth", [number > 0 for number in numbers])):
        for split in (False, True):
            found = [find_objects(mask.astype(np.uint8), ObjectParams(split=split)).labels for mask in masks]
            rows.append({"masks": kind, "split": split, "images": len(files)} | agreement(found, numbers))
    return rows


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
