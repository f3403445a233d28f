"""Runs that tell classes apart, with predictions drawn from truth with known mistakes, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from db import datasets, runs
from db.models import Dataset, Run
from engine.core.network_parameters import ModelParams
from engine.core.run_config import RunConfig
from engine.imaging import class_maps, codec, metrics
from engine.store import keys as stored
from tests.support.drawn_masks import drawn_classes
from tests.support.installation import Installation, add_dataset
from tests.support.predicted import add_run, prediction_row

NAMES = ("background", "egg", "=pan", "cup")
COLOURS = np.uint8([(40, 60, 80), (230, 60, 60), (60, 230, 60), (60, 60, 230)])


def add_classes(installation: Installation, count: int = 3) -> Dataset:
    """Store noisy images whose colours show their classes 1 to 3, with truth whose values are the classes."""
    maps = [np.roll(drawn_classes(3), 17 * number, axis=1) for number in range(count)]
    noise = np.random.default_rng(0).integers(0, 20, (*maps[0].shape, 3)).astype(np.uint8)
    dataset = add_dataset(installation, "classes", [(COLOURS[drawn] + noise, drawn > 0) for drawn in maps])
    with installation.database.writing() as session:
        for image, drawn in zip(datasets.images(session, dataset.id), maps, strict=True):
            installation.files.write(stored.truth_key(dataset.id, image.id), codec.encode_png(drawn))
        classes = [{"index": index, "name": name} for index, name in enumerate(NAMES)]
        datasets.set_classes(session, dataset.id, classes, [min(value, 3) for value in range(256)])
        return session.get_one(Dataset, dataset.id)


def add_class_run(installation: Installation, dataset: Dataset, model: ModelParams | None = None) -> tuple[Run, str]:
    """Store a run on `add_classes` and its predictions; return it and the id of the set.

    Each probability is 0.8 on the foreground, 0.4 left of it, else 0.1; of class 3 all pixels are taken for class 2.
    """
    config = RunConfig(model=model or ModelParams(classes=3))
    run = add_run(installation, dataset, "three", shifts_px=(), config=config)
    with installation.database.writing() as session:
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
        rows = [_prediction(installation, dataset, set_id, image.id) for image in datasets.images(session, dataset.id)]
        runs.add_predictions(session, set_id, rows)
        return session.get_one(Run, run.id), set_id


def _prediction(installation: Installation, dataset: Dataset, set_id: str, image_id: str) -> dict[str, Any]:
    truth = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image_id)))
    foreground = truth > 0
    border = np.roll(foreground, -2, axis=1) & ~foreground
    levels = metrics.probability_to_u8(np.where(foreground, 0.8, np.where(border, 0.4, 0.1)))
    likely = np.uint8([1, 1, 2, 2])[truth]
    installation.files.write(stored.prediction_classes_key(set_id, image_id), codec.encode_png(likely))
    row = prediction_row(installation.files, set_id, image_id, levels, None, foreground)
    confusion = class_maps.reference(truth, dataset.lookup).confusion(class_maps.to_classes(levels, likely, 0.5))
    return row | {"split": "validation", "truth_confusion": confusion}
