"""Runs with a network whose masks are known: bright pixels are foreground."""

from __future__ import annotations

from db import runs
from db.models import Dataset, Run
from engine.store import keys as stored
from tests.support.installation import Installation


def add_network(installation: Installation, dataset: Dataset, name: str = "net", from_level: int = 128) -> Run:
    """Store an ended run whose network draws everything brighter than `from_level` of 255, in squares of 32 px."""
    import keras
    import numpy as np

    pixel = keras.layers.Conv2D(1, 1, activation="sigmoid")
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, pixel(image))
    steepness = 0.1
    pixel.set_weights([np.full((1, 1, 3, 1), steepness / 3), np.array([-steepness * from_level])])
    with installation.database.writing() as session:
        run = runs.create(session, dataset, None, name, "fast", {"model": {"image_size": 32}}, "1")
        run.best_epoch, run.best_val_dice = 1, 0.5
    path = installation.files.path(stored.best_model_key(run.id))
    path.parent.mkdir(parents=True)
    model.save(path)
    return run
