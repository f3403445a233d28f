"""A dataset of two classes and a run that tells them apart, drawn with known mistakes."""

from __future__ import annotations

import numpy as np

from db import datasets, runs
from db.models import Dataset, PredictionSet, Run
from engine.core.run_config import PRESETS
from engine.imaging import class_maps, codec, metrics
from engine.store import keys as stored
from tests.support.installation import Installation, add_dataset
from tests.support.predicted import prediction_row

NAMES = ("background", "egg", "pan")
LOOKUP = [value // 100 if value in (0, 100, 200) else 0 for value in range(256)]
SIDE_PX = 64


def truth_map(number: int) -> np.ndarray:
    """Return the class map of image `number`, uint8 (H, W): a square egg, and a pan except in every third image."""
    classes = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    classes[8:24, 8:24] = 1
    if number % 3 != 2:
        classes[32:48, 28:60] = 2
    return classes


def predicted_map(number: int) -> np.ndarray:
    """Return the class map that is predicted: in image 0 the truth; in others the left half of the pan is an egg."""
    classes = truth_map(number)
    if number:
        classes[32:48, 28:44][classes[32:48, 28:44] == 2] = 1
    return classes


def add_class_dataset(
    installation: Installation, count: int = 4, name: str = "kitchen", names: tuple[str, ...] = NAMES
) -> Dataset:
    """Store images with truth of two classes, the way the import job stores them."""
    images = [np.full((SIDE_PX, SIDE_PX, 3), 90 + 20 * number, np.uint8) for number in range(count)]
    dataset = add_dataset(installation, name, [(image, truth_map(i) > 0) for i, image in enumerate(images)])
    with installation.database.writing() as session:
        for number, image in enumerate(datasets.images(session, dataset.id)):
            values = truth_map(number) * 100
            installation.files.write(stored.truth_key(dataset.id, image.id), codec.encode_png(values))
            image.truth_values = [[int(value), int((values == value).sum())] for value in np.unique(values)]
        classes = [{"index": index, "name": each, "value": index * 100} for index, each in enumerate(names)]
        datasets.set_classes(session, dataset.id, classes, LOOKUP)
        return session.get_one(Dataset, dataset.id)


def add_class_run(installation: Installation, dataset: Dataset, name: str = "both") -> Run:
    """Store a run that tells both classes apart, with a prediction of each image, foreground with probability 0.9."""
    config = PRESETS["fast"].model_dump(mode="json")
    config["model"]["classes"] = 2
    with installation.database.writing() as session:
        run = runs.create(session, session.get_one(Dataset, dataset.id), None, name, "fast", config, "test")
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)
        runs.update_run(session, run.id, best_epoch=1, best_val_dice=0.5)
        images = datasets.images(session, dataset.id)
        runs.add_predictions(
            session, set_id, [predict(installation, set_id, image, i) for i, image in enumerate(images)]
        )
    return run


def predict(installation: Installation, set_id: str, image: object, number: int) -> dict[str, object]:
    """Store the prediction of an image; return its row."""
    truth, found = truth_map(number), predicted_map(number)
    levels = metrics.probability_to_u8(np.where(found > 0, 0.9, 0.1))
    likely = np.maximum(found, 1)
    installation.files.write(stored.prediction_classes_key(set_id, image.id), codec.encode_png(likely))
    row = prediction_row(installation.files, set_id, image.id, levels, None, truth > 0)
    confusion = class_maps.Reference(truth > 0, None, truth).confusion(class_maps.to_classes(levels, likely, 0.5))
    return row | {"truth_confusion": confusion, "split": "train"}


def set_of(installation: Installation, run: Run) -> str:
    """Return the id of a run's predictions on its own dataset."""
    with installation.database.reading() as session:
        return session.query(PredictionSet).filter_by(run_id=run.id, dataset_id=run.dataset_id).one().id
