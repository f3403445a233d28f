"""Runs with predictions for tests: drawn from the truth with known mistakes, stored the way the predict job does."""

from __future__ import annotations

from typing import Any

import numpy as np

from db import datasets, recipes, runs
from db.models import Dataset, Run
from engine.core.run_config import RunConfig
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.local import LocalStore
from tests.support.installation import Installation


def add_label_set(installation: Installation, dataset: Dataset, name: str = "recipe", shift_px: int = 3) -> str:
    """Store a mask set whose masks are the truth moved sideways; return its id."""
    with installation.database.writing() as session:
        label_set = recipes.create(session, dataset, name, "kmeans", {"clusters": 4}, 0, "test")
        images = datasets.images(session, dataset.id)
    rows = []
    for image in images:
        mask = np.roll(truth_of(installation, dataset, image.id), shift_px, axis=1)
        rows.append(label_row(installation.files, label_set.id, image.id, mask.astype(np.uint8) * 255))
    with installation.database.writing() as session:
        recipes.add_labels(session, label_set.id, rows)
    return label_set.id


def truth_of(installation: Installation, dataset: Dataset, image_id: str) -> np.ndarray:
    """Return the stored truth of an image, bool (H, W)."""
    return codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image_id))) > 127


def add_run(
    installation: Installation,
    dataset: Dataset,
    name: str,
    *,
    label_set_id: str | None = None,
    shifts_px: tuple[int, ...] = (0, 2, 4, 8, 12, 30),
    score_truth: bool = True,
    config: RunConfig | None = None,
    epochs: int = 3,
) -> Run:
    """Store a run with metrics and a prediction of each image; empty `shifts_px` means no predictions.

    Image i's probability is 0.9 on its truth moved by `shifts_px[i]`, 0.4 on a border around that, else 0.1. Every
    third image is a validation image.
    """
    chosen = config or RunConfig()
    with installation.database.writing() as session:
        run = runs.create(session, dataset, label_set_id, name, "fast", chosen.model_dump(mode="json"), "test")
        images = datasets.images(session, dataset.id)
        splits = {image.id: "validation" if i % 3 == 0 else "train" for i, image in enumerate(images)}
        runs.set_split(session, run.id, [{"image_id": id_, "split": side} for id_, side in splits.items()])
        for epoch in range(1, epochs + 1):
            values = {"loss": 1 / epoch, "val_loss": 1.2 / epoch, "val_dice": 1 - 0.5 / epoch, "val_iou": 0.5}
            runs.save_metrics(session, run.id, epoch, values)
        runs.update_run(
            session, run.id, best_epoch=epochs, best_val_dice=1 - 0.5 / epochs, train_seconds=61.0, parameter_count=1234
        )
        if not shifts_px:
            return run
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
        rows = [
            _prediction(
                installation, run, set_id, image.id, shifts_px[i % len(shifts_px)], score_truth and image.has_truth
            )
            | {"split": splits[image.id]}
            for i, image in enumerate(images)
        ]
        runs.add_predictions(session, set_id, rows)
    return run


def _prediction(
    installation: Installation, run: Run, set_id: str, image_id: str, shift_px: int, has_truth: bool
) -> dict[str, Any]:
    with installation.database.reading() as session:
        dataset = session.get_one(Dataset, run.dataset_id)
    truth = truth_of(installation, dataset, image_id)
    core = np.roll(truth, shift_px, axis=1)
    border = core | np.roll(core, 2, axis=0) | np.roll(core, -2, axis=0)
    levels = metrics.probability_to_u8(np.where(core, 0.9, np.where(border, 0.4, 0.1)))
    label = None
    if run.label_set_id:
        label = codec.decode_png(installation.files.read(stored.label_key(run.label_set_id, image_id))) > 127
    return prediction_row(installation.files, set_id, image_id, levels, label, truth if has_truth else None)


def label_row(
    files: LocalStore, label_set_id: str, image_id: str, levels: np.ndarray, truth: np.ndarray | None = None
) -> dict[str, Any]:
    """Store a pseudo-label, uint8 (H, W); return its row, with scores against truth, bool (H, W), where it is given."""
    files.write(stored.label_key(label_set_id, image_id), codec.encode_png(levels))
    mask = metrics.to_mask(levels, 0.5)
    scores = [metrics.dice(mask, truth), metrics.iou(mask, truth)] if truth is not None else [None, None]
    return {"image_id": image_id, "area": float(mask.mean()), "dice": scores[0], "iou": scores[1]}


def prediction_row(
    files: LocalStore,
    set_id: str,
    image_id: str,
    levels: np.ndarray,
    label: np.ndarray | None,
    truth: np.ndarray | None,
) -> dict[str, Any]:
    """Store a predicted probability, uint8 (H, W); return its row, scored against those masks, bool, that are given."""
    files.write(stored.prediction_key(set_id, image_id), codec.encode_png(levels))
    mask = metrics.to_mask(levels, 0.5)
    row: dict[str, Any] = {
        "image_id": image_id,
        "area": float(mask.mean()),
        "mean_probability": float(levels.mean() / 255),
    }
    for name, reference in (("label", label), ("truth", truth)):
        known = reference is not None
        row[f"{name}_dice"] = metrics.dice(mask, reference) if known else None
        row[f"{name}_iou"] = metrics.iou(mask, reference) if known else None
        row[f"{name}_counts"] = metrics.pack_counts(metrics.threshold_counts(levels, reference)) if known else None
    return row
