"""Runs that no network trained: drawn curves and, where asked for, drawn masks, to measure pages with many of them.

    python -m benchmarks.drawn_runs DATA_ROOT --runs 1000 --epochs 100
    python -m benchmarks.drawn_runs DATA_ROOT --runs 10 --epochs 200 --images 48

Every second run is taught by pseudo-labels. The same arguments draw the same numbers and pixels, in rows and files as
the jobs would have left them.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from db import datasets, recipes
from db.models import (
    Dataset,
    Job,
    JobKind,
    JobStatus,
    Label,
    Metric,
    Prediction,
    PredictionSet,
    Run,
    RunImage,
    new_id,
    utc_now,
)
from db.session import Database
from engine.core.run_config import PRESETS, config_from
from engine.core.settings import Settings
from engine.datasets import sample
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.local import LocalStore

VALIDATION_EVERY = 5
ENDED = (JobStatus.FINISHED, JobStatus.FINISHED, JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.FAILED)


def add_runs(data_root: str | Path, runs: int, epochs: int, images: int = 0, *, name: str = "drawn") -> list[str]:
    """Add a dataset `name` and that many runs of that many epochs on it; return the ids of the runs.

    Args:
        images: of the dataset, each with truth, a label, and a predicted mask in every run; 0 for curves alone.
        name: begins the names of the dataset, the label set and the runs. No two calls may share one.
    """
    installation = Settings(data_root=Path(data_root), database_url="")
    database, files = Database(installation.resolved_database_url), LocalStore(installation.data_root)
    database.migrate()
    with database.writing() as session:
        dataset = datasets.create(session, name)
    truths = _add_images(database, files, dataset, images)
    with database.writing() as session:
        label_set_id = _add_labels(session, files, dataset, truths)
    ids = []
    for number in range(runs):
        with database.writing() as session:
            run_id = _add_run(session, dataset, label_set_id if number % 2 else None, number, runs, epochs)
            if truths:
                _add_predictions(session, files, dataset, run_id, truths, number)
        ids.append(run_id)
    database.close()
    return ids


def _add_images(database: Database, files: LocalStore, dataset: Dataset, count: int) -> dict[str, np.ndarray]:
    """Store images of the sample set with their truth; return {image id: truth, bool (H, W)}."""
    truths, rows = {}, []
    for number in range(count):
        image, truth = sample.scene(number)
        image_id = new_id()
        truths[image_id] = truth > 0
        files.write(stored.image_key(dataset.id, image_id), codec.encode_png(image))
        files.write(stored.thumb_key(dataset.id, image_id), codec.thumbnail(image))
        files.write(stored.truth_key(dataset.id, image_id), _png(truths[image_id]))
        size = {"width": image.shape[1], "height": image.shape[0]}
        values = [[0, int((truth == 0).sum())], [255, int((truth > 0).sum())]]
        about = {"id": image_id, "name": sample.name(number), "content_hash": f"{dataset.id}{number}"}
        rows.append({**about, **size, "has_truth": True, "truth_values": values})
    classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "foreground"}]
    with database.writing() as session:
        entries = [{"name": row["name"], "taken": True, "reason": ""} for row in rows]
        datasets.add_images(session, dataset.id, new_id(), rows, entries)
        lookup = [int(value >= 128) for value in range(256)]
        datasets.finish_import(session, dataset.id, classes if count else None, lookup if count else None)
    return truths


def _png(mask: np.ndarray) -> bytes:
    return codec.encode_png(mask.astype(np.uint8) * 255)


def _add_labels(session: Session, files: LocalStore, dataset: Dataset, truths: dict[str, np.ndarray]) -> str:
    name = f"{dataset.name} labels"
    label_set = recipes.create(session, session.merge(dataset), name, "kmeans", {"clusters": 4}, 0, "drawn")
    rows = []
    for image_id, truth in truths.items():
        label = np.roll(truth, 3, axis=1)
        files.write(stored.label_key(label_set.id, image_id), _png(label))
        scores = {"dice": metrics.dice(label, truth), "iou": metrics.iou(label, truth)}
        rows.append({"label_set_id": label_set.id, "image_id": image_id, "area": float(label.mean()), **scores})
    if rows:
        session.execute(insert(Label), rows)
    return label_set.id


def _add_run(session: Session, dataset: Dataset, label_set_id: str | None, number: int, total: int, epochs: int) -> str:
    rng = np.random.default_rng(number)
    began = utc_now() - timedelta(hours=total - number)
    seconds = epochs * float(rng.uniform(2, 20))
    job = Job(
        kind=JobKind.TRAIN,
        status=ENDED[number % len(ENDED)],
        payload={},
        attempt=1,
        created_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=seconds),
    )
    session.add(job)
    session.flush()
    curves = _curves(rng, epochs)
    best = int(curves["val_dice"].argmax())
    settings = {"training": {"epochs": epochs, "learning_rate": float(rng.choice([1e-4, 3e-4, 1e-3]))}}
    preset = list(PRESETS)[number % len(PRESETS)]
    run = Run(
        dataset_id=dataset.id,
        label_set_id=label_set_id,
        name=f"{dataset.name} run {number + 1}",
        preset=preset,
        config=config_from(preset, settings).model_dump(mode="json"),
        lookup=list(dataset.lookup),
        code_version="drawn",
        dataset_fingerprint=dataset.fingerprint,
        created_at=began,
        job_id=job.id,
        best_epoch=best + 1,
        best_val_dice=float(curves["val_dice"][best]),
        train_seconds=seconds,
        parameter_count=int(rng.integers(2e5, 8e6)),
        details={"weights": "MobileNetV2 encoder: ImageNet"} if number % 4 == 0 else {},
        tags=[f"series {number % 7}"] if number % 3 == 0 else [],
        pinned=number % 200 == 7,
        archived=number % 20 == 19,
    )
    session.add(run)
    session.flush()
    rows = [
        {"run_id": run.id, "epoch": epoch + 1, "name": metric, "value": float(values[epoch])}
        for metric, values in curves.items()
        for epoch in range(epochs)
    ]
    session.execute(insert(Metric), rows)
    return run.id


def _curves(rng: np.random.Generator, epochs: int) -> dict[str, np.ndarray]:
    """Return {metric: float64 (epochs,)}: what rises towards a limit, and validation a little behind training."""
    steps = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-steps / rng.uniform(4, 30))
    ceiling = rng.uniform(0.6, 0.95)
    train = np.clip(ceiling * rise + rng.normal(0, 0.006, epochs), 0, 1)
    validation = np.clip(train - 0.08 * rise + rng.normal(0, 0.015, epochs), 0, 1)
    found = {"learning_rate": 1e-3 * 0.98**steps}
    for prefix, dice in (("", train), ("val_", validation)):
        found |= {f"{prefix}dice": dice, f"{prefix}iou": dice / (2 - dice), f"{prefix}loss": 1 - dice + 0.05}
    return found


def _add_predictions(
    session: Session, files: LocalStore, dataset: Dataset, run_id: str, truths: dict[str, np.ndarray], number: int
) -> None:
    """Store a mask of every image: its truth with a soft edge, moved further the worse the run is at the image."""
    run = session.get_one(Run, run_id)
    found = PredictionSet(run_id=run_id, dataset_id=dataset.id, job_id=run.job_id)
    session.add(found)
    session.flush()
    rng = np.random.default_rng(1000 + number)
    sides, rows = [], []
    for place, (image_id, truth) in enumerate(truths.items()):
        shift_px = int(abs(rng.normal(0, 2 + number)))
        soft = cv2.GaussianBlur(np.roll(truth, shift_px, axis=1).astype(np.float32), (0, 0), 2.0)
        levels = metrics.probability_to_u8(soft)
        files.write(stored.prediction_key(found.id, image_id), codec.encode_png(levels))
        side = "train" if place % VALIDATION_EVERY else "validation"
        sides.append({"run_id": run_id, "image_id": image_id, "split": side, "probe": False})
        label = np.roll(truth, 3, axis=1) if run.label_set_id else None
        scores = _scores("truth", levels, truth) | _scores("label", levels, label)
        rows.append({"prediction_set_id": found.id, "image_id": image_id, "split": side, **scores})
        rows[-1] |= {"area": float(metrics.to_mask(levels, 0.5).mean()), "mean_probability": float(soft.mean())}
    session.execute(insert(RunImage), sides)
    session.execute(insert(Prediction), rows)


def _scores(reference: str, levels: np.ndarray, mask: np.ndarray | None) -> dict[str, Any]:
    names = tuple(f"{reference}_{what}" for what in ("dice", "iou", "counts"))
    if mask is None:
        return dict.fromkeys(names)
    drawn = metrics.to_mask(levels, 0.5)
    counts = metrics.pack_counts(metrics.threshold_counts(levels, mask))
    return dict(zip(names, (metrics.dice(drawn, mask), metrics.iou(drawn, mask), counts), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--name", default="drawn")
    given = parser.parse_args()
    ids = add_runs(given.data_root, given.runs, given.epochs, given.images, name=given.name)
    print(f"Added {len(ids)} runs of {given.epochs} epochs with {given.images} masks each.")


if __name__ == "__main__":
    main()
