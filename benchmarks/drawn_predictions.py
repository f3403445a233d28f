"""A run with very many masks, stored the way the jobs store them, without the hours of training and predicting them.

    python -m benchmarks.drawn_predictions /tmp/many --images 10000

Every image is a real photograph of the folder, moved and mirrored so that no two are the same; its pseudo-label is the
truth with an unsteady outline, and its prediction the truth with another, blurred, and now and then of the wrong place.
All files that the pages read are there in full: image, thumbnail, truth, label, probability and uncertainty.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from db import datasets, recipes, runs
from db.models import new_id
from db.session import Database
from engine.core.run_config import RunConfig
from engine.core.settings import Settings
from engine.datasets import ingest
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.local import LocalStore

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LONGEST_SIDE_PX = 320
EPOCHS = 30
CHUNK = 250


@dataclass(frozen=True)
class Place:
    """Where everything of one image goes."""

    data_root: Path
    dataset_id: str
    label_set_id: str
    prediction_set_id: str


def pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return [(image uint8 (H, W, 3), truth bool (H, W))] of a folder, at most LONGEST_SIDE_PX large."""
    source = ingest.open_zip_or_folder(folder)
    read = (ingest.read(source, item) for item in ingest.plan(source)[0])
    found = []
    for decoded in read:
        if decoded.image is not None and decoded.truth is not None:
            shape = codec.fit_longest_side(decoded.image.shape[:2], LONGEST_SIDE_PX)
            found.append((codec.resize_image(decoded.image, shape), codec.resize_mask(decoded.truth > 127, shape)))
    return found


def variant(pair: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair moved around its own edges, mirrored at random, and a little lighter or darker."""
    image, truth = pair
    shift = tuple(int(rng.integers(side)) for side in truth.shape)
    image, truth = np.roll(image, shift, axis=(0, 1)), np.roll(truth, shift, axis=(0, 1))
    if rng.random() < 0.5:
        image, truth = image[:, ::-1], truth[:, ::-1]
    lighter = np.clip(image * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(lighter), np.ascontiguousarray(truth)


def drawn(truth: np.ndarray, rng: np.random.Generator, unsteady_px: float, sure: float) -> np.ndarray:
    """Return a probability, uint8 (H, W), whose outline wanders about the truth's by `unsteady_px`."""
    inside = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - truth.astype(np.uint8), cv2.DIST_L2, 3)
    coarse = rng.normal(0, 1, (8, 8)).astype(np.float32)
    wander = cv2.resize(coarse, truth.shape[::-1], interpolation=cv2.INTER_CUBIC) * unsteady_px
    distance = np.clip((inside - outside + wander) * sure, -30, 30)
    return metrics.probability_to_u8(1 / (1 + np.exp(-distance)))


def add_one(place: Place, pair: tuple[np.ndarray, np.ndarray], number: int) -> dict[str, dict[str, Any]]:
    """Write all files of one image; return its rows by table."""
    rng = np.random.default_rng(number)
    image, truth = variant(pair, rng)
    label = drawn(truth, rng, unsteady_px=5, sure=50)
    levels = drawn(truth, rng, unsteady_px=float(rng.exponential(8)), sure=0.4)
    if rng.random() < 0.08:  # it looks elsewhere altogether
        levels = np.roll(levels, truth.shape[1] // 2, axis=1)
    share = levels / 255
    entropy = -(share * np.log2(share + 1e-9) + (1 - share) * np.log2(1 - share + 1e-9))
    unsure = metrics.probability_to_u8(np.clip(entropy, 0, 1))
    files, image_id = LocalStore(place.data_root), new_id()
    files.write(stored.image_key(place.dataset_id, image_id), codec.encode_png(image))
    files.write(stored.thumb_key(place.dataset_id, image_id), codec.thumbnail(image))
    files.write(stored.truth_key(place.dataset_id, image_id), codec.encode_png(truth.astype(np.uint8) * 255))
    files.write(stored.label_key(place.label_set_id, image_id), codec.encode_png(label))
    files.write(stored.prediction_key(place.prediction_set_id, image_id), codec.encode_png(levels))
    files.write(stored.uncertainty_key(place.prediction_set_id, image_id), codec.encode_png(unsure))
    taught, mask = metrics.to_mask(label, 0.5), metrics.to_mask(levels, 0.5)
    split = "validation" if number % 10 < 3 else "train"
    prediction: dict[str, Any] = {
        "image_id": image_id,
        "split": split,
        "area": float(mask.mean()),
        "mean_probability": float(share.mean()),
        "uncertainty": float(unsure.mean() / 255),
        "flip_agreement": metrics.dice(mask, metrics.to_mask(drawn(mask, rng, 3, 50), 0.5)),
    }
    for name, reference in (("label", taught), ("truth", truth)):
        prediction[f"{name}_dice"] = metrics.dice(mask, reference)
        prediction[f"{name}_iou"] = metrics.iou(mask, reference)
        prediction[f"{name}_counts"] = metrics.pack_counts(metrics.threshold_counts(levels, reference))
    height, width = truth.shape
    return {
        "image": {
            "id": image_id,
            "name": f"photographs/{number:05d}.png",
            "content_hash": ingest.content_hash(image),
            "width": width,
            "height": height,
            "has_truth": True,
            "truth_values": [0, 255],
        },
        "label": {
            "image_id": image_id,
            "area": float(taught.mean()),
            "dice": metrics.dice(taught, truth),
            "iou": metrics.iou(taught, truth),
            "quality": float(np.clip(rng.normal(0.7, 0.1), 0, 1)),
        },
        "split": {"image_id": image_id, "split": split},
        "prediction": prediction,
    }


def add_run(data_root: Path, folder: Path, images: int, name: str = "Ten thousand masks") -> str:
    """Store a dataset of `images` images, labels, and a run that has predicted all of them; return the run's id."""
    chosen = Settings(data_root=data_root)
    database = Database(chosen.resolved_database_url)
    database.migrate()
    with database.writing() as session:
        dataset = datasets.create(session, f"{name}: images")
        label_set = recipes.create(session, dataset, f"{name}: labels", "saliency", {}, 0, "benchmark")
        config = RunConfig().model_dump(mode="json")
        run = runs.create(session, dataset, label_set.id, name, "fast", config, "benchmark")
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
    place = Place(data_root, dataset.id, label_set.id, set_id)
    splits = []
    for rows in _in_chunks(place, pairs(folder), images):
        splits += [row["split"] for row in rows]
        with database.writing() as session:
            datasets.add_images(session, dataset.id, new_id(), [row["image"] for row in rows], [])
        with database.writing() as session:
            recipes.add_labels(session, label_set.id, [row["label"] for row in rows])
            runs.add_predictions(session, set_id, [row["prediction"] for row in rows])
        print(f"{len(splits):,} of {images:,} images", end="\r", flush=True)
    with database.writing() as session:
        classes = [{"index": 0, "name": "background", "value": 0}, {"index": 1, "name": "foreground", "value": 255}]
        lookup = [0] + [1] * 255
        datasets.finish_import(session, dataset.id, classes, lookup)
        runs.set_split(session, run.id, splits)
        for epoch in range(1, EPOCHS + 1):
            far = 1 - np.exp(-epoch / 8)
            values = {"loss": 1.1 - 0.9 * far, "val_loss": 1.1 - 0.8 * far, "dice": 0.9 * far, "val_dice": 0.85 * far}
            runs.save_metrics(session, run.id, epoch, values | {"learning_rate": 0.001})
        runs.update_run(
            session,
            run.id,
            lookup=lookup,
            best_epoch=EPOCHS,
            best_val_dice=values["val_dice"],
            train_seconds=1800.0,
            parameter_count=1_900_000,
            ended_reason=f"All {EPOCHS} epochs are done.",
        )
    database.close()
    return run.id


def _in_chunks(
    place: Place, found: list[tuple[np.ndarray, np.ndarray]], images: int
) -> Iterator[list[dict[str, dict[str, Any]]]]:
    with ProcessPoolExecutor() as processes:
        for start in range(0, images, CHUNK):
            numbers = range(start, min(start + CHUNK, images))
            chosen = [found[number % len(found)] for number in numbers]
            yield list(processes.map(partial(add_one, place), chosen, numbers, chunksize=10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data_root", type=Path, help="Where to store them: a DATA_ROOT, made if need be.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=SHARED_DATA / "ecssd", help="Folder with images/ and truth/.")
    arguments = parser.parse_args()
    run_id = add_run(arguments.data_root.resolve(), arguments.folder, arguments.images)
    print(f"\nRun {run_id}")


if __name__ == "__main__":
    main()
