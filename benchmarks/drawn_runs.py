"""Runs that no network trained, stored as the jobs store them, to measure pages that have very much to show.

    python -m benchmarks.drawn_runs masks /tmp/many --images 10000          # one run with very many masks
    python -m benchmarks.drawn_runs curves /tmp/runs --runs 1000 --epochs 100
    python -m benchmarks.drawn_runs curves /tmp/ten --runs 10 --epochs 200 --images 48

The same arguments give the same numbers and pixels. All files that pages read are there: image, thumbnail, truth,
label, probability and, of the masks, uncertainty.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from benchmarks.harness import ECSSD, note, pairs, suite
from db import datasets, recipes, runs
from db.columns import new_id, utc_now
from db.models import Dataset, Job, JobKind, JobStatus, Metric, Run
from db.session import Database
from engine.core.run_config import PRESETS, RunConfig, config_from
from engine.core.settings import Settings
from engine.datasets import sample
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.local import LocalStore
from engine.store.opening import open_store
from tests.support.installation import Installation, add_dataset, finish_dataset, image_row
from tests.support.predicted import label_row, prediction_row

LONGEST_SIDE_PX = 320
EPOCHS = 30
CHUNK = 250
VALIDATION_EVERY = 5
ENDED = (JobStatus.FINISHED, JobStatus.FINISHED, JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.FAILED)
Pair = tuple[np.ndarray, np.ndarray]
app = suite(__doc__)


@contextmanager
def opened(data_root: Path) -> Iterator[Installation]:
    """Yield the installation in a folder, which is created where it is missing."""
    settings = Settings(data_root=data_root.resolve(), database_url="")
    settings.data_root.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    database.migrate()
    try:
        yield Installation(settings, database, cast(LocalStore, open_store(settings)))
    finally:
        database.close()


@app.command("masks")
def add_masks(data_root: Path, images: int = 10_000, folder: Path = ECSSD) -> dict[str, str]:
    """Store a run that has predicted `images` images: photographs of the folder, moved and mirrored so that all differ.

    A pseudo-label is the truth with an unsteady outline, and a prediction the truth with another, blurred, and now and
    then of the wrong place.
    """
    with opened(data_root) as installation, ProcessPoolExecutor() as processes:
        name = f"{images:,} masks"
        with installation.database.writing() as session:
            dataset = datasets.create(session, f"{name}: images")
            label_set = recipes.create(session, dataset, f"{name}: labels", "saliency", {}, 0, "benchmark")
            config = RunConfig().model_dump(mode="json")
            run = runs.create(session, dataset, label_set.id, name, "fast", config, "benchmark")
            set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
        add = partial(_add_mask, installation.files, dataset.id, label_set.id, set_id)
        photographs = [_shrunk(*pair) for pair in pairs(folder, foreground=128)]
        splits = []
        for start in range(0, images, CHUNK):
            numbers = range(start, min(start + CHUNK, images))
            chosen = [photographs[number % len(photographs)] for number in numbers]
            rows = list(processes.map(add, chosen, numbers, chunksize=10))
            splits += [{"image_id": prediction["image_id"], "split": prediction["split"]} for _, _, prediction in rows]
            with installation.database.writing() as session:
                datasets.add_images(session, dataset.id, new_id(), [image for image, _, _ in rows], [])
                session.flush()
                recipes.add_labels(session, label_set.id, [label for _, label, _ in rows])
                runs.add_predictions(session, set_id, [prediction for _, _, prediction in rows])
            note(f"{len(splits):,} of {images:,} images")
        with installation.database.writing() as session:
            finish_dataset(session, dataset.id, truth=True)
            runs.set_split(session, run.id, splits)
            best = _add_curves(session, run.id, _curves(np.random.default_rng(0), EPOCHS))
            runs.update_run(session, run.id, lookup=list(session.get_one(Dataset, dataset.id).lookup), **best)
            runs.update_run(session, run.id, train_seconds=1800.0, parameter_count=1_900_000)
    return {"run": run.id}


def _shrunk(image: np.ndarray, truth: np.ndarray) -> Pair:
    shape = codec.fit_longest_side(image.shape[:2], LONGEST_SIDE_PX)
    return codec.resize_image(image, shape), codec.resize_mask(truth, shape)


def _add_mask(
    files: LocalStore, dataset_id: str, label_set_id: str, set_id: str, pair: Pair, number: int
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Write all files of one image; return the rows of the image, its label and its prediction."""
    rng = np.random.default_rng(number)
    image, truth = _moved(pair, rng)
    label = unsteady(truth, rng, stray_px=5, sharpness=50)
    levels = unsteady(truth, rng, stray_px=float(rng.exponential(8)), sharpness=0.4)
    if rng.random() < 0.08:  # the network found another place altogether
        levels = np.roll(levels, truth.shape[1] // 2, axis=1)
    share = np.clip(levels / 255, 1e-9, 1 - 1e-9)
    unsure = metrics.probability_to_u8(-(share * np.log2(share) + (1 - share) * np.log2(1 - share)))
    mask = metrics.to_mask(levels, 0.5)
    row = image_row(files, dataset_id, f"photographs/{number:05d}.png", f"{dataset_id}{number}", image, truth)
    files.write(stored.uncertainty_key(set_id, row["id"]), codec.encode_png(unsure))
    labelled = label_row(files, label_set_id, row["id"], label, truth)
    labelled["quality"] = float(np.clip(rng.normal(0.7, 0.1), 0, 1))
    predicted = prediction_row(files, set_id, row["id"], levels, metrics.to_mask(label, 0.5), truth)
    predicted |= {
        "split": "validation" if number % 10 < 3 else "train",
        "uncertainty": float(unsure.mean() / 255),
        "flip_agreement": metrics.dice(mask, metrics.to_mask(unsteady(mask, rng, stray_px=3, sharpness=50), 0.5)),
    }
    return row, labelled, predicted


def _moved(pair: Pair, rng: np.random.Generator) -> Pair:
    """Return a pair moved around its own edges, mirrored at random, and a little lighter or darker."""
    shift = tuple(int(rng.integers(side)) for side in pair[1].shape)
    image, truth = (np.roll(each, shift, axis=(0, 1)) for each in pair)
    if rng.random() < 0.5:
        image, truth = image[:, ::-1], truth[:, ::-1]
    lighter = np.clip(image * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(lighter), np.ascontiguousarray(truth)


def unsteady(truth: np.ndarray, rng: np.random.Generator, stray_px: float, sharpness: float) -> np.ndarray:
    """Return a probability, uint8 (H, W), whose outline strays from the truth's by about `stray_px`."""
    inside = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - truth.astype(np.uint8), cv2.DIST_L2, 3)
    coarse = rng.normal(0, 1, (8, 8)).astype(np.float32)
    stray = cv2.resize(coarse, truth.shape[::-1], interpolation=cv2.INTER_CUBIC) * stray_px
    distance = np.clip((inside - outside + stray) * sharpness, -30, 30)
    return metrics.probability_to_u8(1 / (1 + np.exp(-distance)))


@app.command("curves")
def add_runs(
    data_root: Path, runs: int = 1000, epochs: int = 100, images: int = 0, name: str = "drawn"
) -> dict[str, list[str]]:
    """Store a dataset and runs on it, every second one trained on pseudo-labels.

    `images` of the sample set have truth, a label, and a predicted mask in every run; 0 stores curves alone. `name`
    begins the names of dataset, mask set and runs: no two calls may share one.
    """
    with opened(data_root) as installation:
        truths = [sample.scene(number) for number in range(images)]
        dataset = add_dataset(installation, name, truths, "scene {}.png")
        with installation.database.writing() as session:
            image_ids = [image.id for image in datasets.images(session, dataset.id)]
            about = (f"{name} labels", "kmeans", {"clusters": 4}, 0, "drawn")
            label_set = recipes.create(session, session.merge(dataset), *about)
            masks = dict(zip(image_ids, (truth for _, truth in truths), strict=True))
            labels = {image_id: np.roll(truth, 3, axis=1) for image_id, truth in masks.items()}
            rows = [
                label_row(installation.files, label_set.id, each, label.astype(np.uint8) * 255, masks[each])
                for each, label in labels.items()
            ]
            recipes.add_labels(session, label_set.id, rows)
        found = []
        for number in range(runs):
            with installation.database.writing() as session:
                run = _add_run(session, dataset, label_set.id if number % 2 else None, number, runs, epochs)
                if images:
                    _add_predictions(session, installation, run, masks, labels if run.label_set_id else {}, number)
                found.append(run.id)
    return {"runs": found}


def _add_run(session: Session, dataset: Dataset, label_set_id: str | None, number: int, total: int, epochs: int) -> Run:
    rng = np.random.default_rng(number)
    began = utc_now() - timedelta(hours=total - number)
    seconds = epochs * float(rng.uniform(2, 20))
    times = {"created_at": began, "started_at": began, "finished_at": began + timedelta(seconds=seconds)}
    job = Job(kind=JobKind.TRAIN, status=ENDED[number % len(ENDED)], payload={}, attempt=1, **times)
    session.add(job)
    session.flush()
    settings = {"training": {"epochs": epochs, "learning_rate": float(rng.choice([1e-4, 3e-4, 1e-3]))}}
    preset = list(PRESETS)[number % len(PRESETS)]
    config = config_from(preset, settings).model_dump(mode="json")
    name = f"{dataset.name} run {number + 1}"
    run = runs.create(session, dataset, label_set_id, name, preset, config, "drawn")
    runs.update_run(
        session,
        run.id,
        created_at=began,
        job_id=job.id,
        train_seconds=seconds,
        parameter_count=int(rng.integers(2e5, 8e6)),
        details={"weights": "MobileNetV2 encoder: ImageNet"} if number % 4 == 0 else {},
        tags=[f"series {number % 7}"] if number % 3 == 0 else [],
        pinned=number % 200 == 7,
        archived=number % 20 == 19,
        **_add_curves(session, run.id, _curves(rng, epochs)),
    )
    return run


def _curves(rng: np.random.Generator, epochs: int) -> dict[str, np.ndarray]:
    """Return {metric: float64 (epochs,)} that rise towards a limit, validation a little behind training."""
    steps = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-steps / rng.uniform(4, 30))
    ceiling = rng.uniform(0.6, 0.95)
    train = np.clip(ceiling * rise + rng.normal(0, 0.006, epochs), 0, 1)
    validation = np.clip(train - 0.08 * rise + rng.normal(0, 0.015, epochs), 0, 1)
    found = {"learning_rate": 1e-3 * 0.98**steps}
    for prefix, dice in (("", train), ("val_", validation)):
        found |= {f"{prefix}dice": dice, f"{prefix}iou": dice / (2 - dice), f"{prefix}loss": 1 - dice + 0.05}
    return found


def _add_curves(session: Session, run_id: str, curves: dict[str, np.ndarray]) -> dict[str, Any]:
    """Store the metrics of a run; return which epoch was its best, and its score."""
    rows = [
        {"run_id": run_id, "epoch": epoch, "name": name, "value": float(value)}
        for name, values in curves.items()
        for epoch, value in enumerate(values, start=1)
    ]
    session.execute(insert(Metric), rows)
    best = int(curves["val_dice"].argmax())
    return {"best_epoch": best + 1, "best_val_dice": float(curves["val_dice"][best])}


def _add_predictions(
    session: Session,
    installation: Installation,
    run: Run,
    truths: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    number: int,
) -> None:
    """Store a mask of every image: its truth with a soft edge, moved further the later the run is."""
    set_id = runs.ensure_prediction_set(session, run.id, run.dataset_id, run.job_id, flips=False)
    rng, rows = np.random.default_rng(1000 + number), []
    for place, (image_id, truth) in enumerate(truths.items()):
        shifted = np.roll(truth, int(abs(rng.normal(0, 2 + number))), axis=1)
        levels = metrics.probability_to_u8(cv2.GaussianBlur(shifted.astype(np.float32), (0, 0), 2.0))
        row = prediction_row(installation.files, set_id, image_id, levels, labels.get(image_id), truth)
        rows.append({**row, "split": "train" if place % VALIDATION_EVERY else "validation"})
    runs.set_split(session, run.id, [{"image_id": row["image_id"], "split": row["split"]} for row in rows])
    runs.add_predictions(session, set_id, rows)


if __name__ == "__main__":
    app()
