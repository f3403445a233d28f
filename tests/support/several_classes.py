"""Datasets and runs with several classes for tests: drawn eggs and pans, and masks with known mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from db import datasets, runs
from db.columns import new_id
from db.models import Dataset, Run
from engine.core.run_config import config_from
from engine.imaging import codec, metrics
from engine.store import keys as stored
from tests.support.installation import Installation, disc, image_row
from tests.support.predicted import prediction_row

EGGS_AND_PANS = ("background", "egg", "pan")
EPOCH = {"loss": 0.5, "val_loss": 0.6, "learning_rate": 1e-3}


def egg_and_pan(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (image uint8 RGB, classes uint8), 64 px wide: a disc of class 1; class 2, a bar, in every second image."""
    image, egg = disc(64, 12, seed=number)
    classes = egg.astype(np.uint8)
    if number % 2 == 0:
        bar = np.zeros_like(egg)
        bar[:, :8] = True
        classes[bar] = 2
        image[bar] = (40, 160, 220)
    return image, classes


def add_eggs_and_pans(
    installation: Installation, count: int = 6, name: str = "breakfast", names: Sequence[str] = EGGS_AND_PANS
) -> Dataset:
    """Store a dataset whose truth has `names`, background first; only the first two classes are in its images."""
    with installation.database.writing() as session:
        dataset = datasets.create(session, name)
    rows = []
    for number in range(count):
        image, classes = egg_and_pan(number)
        row = image_row(installation.files, dataset.id, f"plate {number}.png", f"{name}{number}", image, classes > 0)
        installation.files.write(stored.truth_key(dataset.id, row["id"]), codec.encode_png(classes))
        rows.append(row | {"truth_values": np.stack(np.unique(classes, return_counts=True), axis=1).tolist()})
    entries = [{"index": index, "name": name, "value": index} for index, name in enumerate(names)]
    lookup = [value if value < len(names) else 0 for value in range(256)]
    with installation.database.writing() as session:
        report = [{"name": row["name"], "taken": True, "reason": ""} for row in rows]
        datasets.add_images(session, dataset.id, new_id(), rows, report)
        return datasets.finish_import(session, dataset.id, entries, lookup)


def add_run_of_classes(
    installation: Installation, dataset: Dataset, name: str = "plates", *, epochs: int = 3, confused: bool = True
) -> Run:
    """Store a run that tells the classes of a dataset apart, with metrics and a prediction of each image.

    Every third image is a validation image. The masks are the truth, but for the upper half of each egg, which is a
    pan where `confused`.
    """
    count = len(dataset.classes) - 1
    config = config_from("fast", {"model": {"classes": count}}).model_dump(mode="json")
    with installation.database.writing() as session:
        run = runs.create(session, dataset, None, name, "fast", config, "test")
        images = datasets.images(session, dataset.id)
        splits = {image.id: "train" if number % 3 else "validation" for number, image in enumerate(images)}
        runs.set_split(session, run.id, [{"image_id": id_, "split": side} for id_, side in splits.items()])
        for epoch in range(1, epochs + 1):
            values = EPOCH | {
                f"{side}{metric}{of}": (epoch + number) / (epochs + count + 1)
                for side in ("", "val_")
                for metric in ("dice", "iou")
                for number, of in enumerate(["", *(f"_{index}" for index in range(1, count + 1))])
            }
            runs.save_metrics(session, run.id, epoch, values)
        best = {"best_epoch": epochs, "best_val_dice": epochs / (epochs + count + 1), "train_seconds": 61.0}
        runs.update_run(session, run.id, **best)
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
        rows = [
            _prediction(installation, dataset, set_id, image.id, confused) | {"split": splits[image.id]}
            for image in images
        ]
        runs.add_predictions(session, set_id, rows)
    return run


def _prediction(installation: Installation, dataset: Dataset, set_id: str, image_id: str, confused: bool) -> dict:
    truth = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image_id)))
    predicted = truth.copy()
    egg = np.argwhere(truth == 1)
    upper = egg[egg[:, 0] < np.median(egg[:, 0])]
    if confused:
        predicted[upper[:, 0], upper[:, 1]] = 2
    files, levels = installation.files, np.where(predicted > 0, 230, 20).astype(np.uint8)
    files.write(stored.prediction_classes_key(set_id, image_id), codec.encode_png(np.maximum(predicted, 1)))
    row = prediction_row(files, set_id, image_id, levels, None, truth > 0)
    return row | {"truth_confusion": metrics.confusion(predicted, truth)}
