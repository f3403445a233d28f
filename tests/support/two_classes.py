"""Drawn images with two classes, discs and squares, stored the way the import job stores them."""

from __future__ import annotations

import numpy as np

from db import datasets
from db.columns import new_id
from db.models import Dataset
from engine.datasets import truth
from engine.imaging.codec import encode_png
from engine.store import keys as stored
from tests.support.installation import Installation, add_discs

NAMES = ("background", "disc", "square")


def scene(size_px: int = 64, seed: int = 0, square: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return (image uint8 RGB, class map uint8): a bright disc, 1, and mostly a bluish square, 2, on a dark ground."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size_px, :size_px]
    classes = np.zeros((size_px, size_px), np.uint8)
    reach = size_px // 6
    y, x = rng.integers(reach, size_px - reach, 2)
    classes[np.hypot(rows - y, columns - x) <= reach] = 1
    if square:
        top, left = rng.integers(0, size_px - 2 * reach, 2)
        classes[top : top + 2 * reach, left : left + 2 * reach] = 2
    colours = np.array([(30, 50, 80), (220, 180, 60), (90, 120, 230)])
    image = colours[classes] + rng.normal(0, 8, (size_px, size_px, 3))
    return np.clip(image, 0, 255).astype(np.uint8), classes


def add_scenes(installation: Installation, count: int = 6, name: str = "scenes", squares: int | None = None) -> Dataset:
    """Store a dataset of scenes with truth in class numbers; only the first `squares` images have a square."""
    dataset = add_discs(installation, 0, name)
    rows = []
    for number in range(count):
        image, classes = scene(seed=number, square=squares is None or number < squares)
        image_id = new_id()
        installation.files.write(stored.image_key(dataset.id, image_id), encode_png(image))
        installation.files.write(stored.thumb_key(dataset.id, image_id), encode_png(image))
        installation.files.write(stored.truth_key(dataset.id, image_id), encode_png(classes))
        rows.append(
            {
                "id": image_id,
                "name": f"scene {number}.png",
                "content_hash": f"{name}{number}",
                "width": image.shape[1],
                "height": image.shape[0],
                "has_truth": True,
                "truth_values": truth.value_rows(classes),
            }
        )
    named = [{"index": index, "name": word, "value": index} for index, word in enumerate(NAMES)]
    with installation.database.writing() as session:
        datasets.add_images(session, dataset.id, new_id(), rows, [])
        return datasets.finish_import(session, dataset.id, named, [min(value, 2) for value in range(256)])
