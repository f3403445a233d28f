"""Measurements of objects for tests: computed by their job from masks of drawn discs."""

from __future__ import annotations

from typing import Any

import numpy as np

from db import measuring
from db.masks import MasksOf
from db.models import Dataset, Job, Measurement
from engine.core.parameters import parse
from engine.measuring.objects import ObjectParams
from engine.work.worker import work
from tests.support.installation import Installation, add_dataset


def spots(*places: tuple[int, int, int], side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Return (image uint8 RGB, mask bool) of bright discs at (x, y, radius)."""
    rows, columns = np.mgrid[:side, :side]
    mask = np.zeros((side, side), bool)
    for x, y, radius in places:
        mask |= (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    image = np.where(mask[..., None], (200, 120, 40), (10, 20, 30)).astype(np.uint8)
    return image, mask


SPOTS = (((20, 20, 8), (60, 60, 16)), ((20, 20, 8), (60, 20, 12), (50, 70, 10)), ())
"""Places and radii of the discs of three images, the last one empty."""


def add_spots(installation: Installation, name: str = "spots") -> Dataset:
    """Store three images with 2, 3 and no disc, called "plate 0.png" to "plate 2.png", with truth."""
    return add_dataset(installation, name, [spots(*places) for places in SPOTS], "plate {}.png")


def submit(
    installation: Installation, owner: MasksOf, owner_id: str, pixel_size: str = "", **params: Any
) -> tuple[Measurement, Job]:
    """Submit a measurement."""
    values = parse(ObjectParams, params).model_dump(mode="json")
    with installation.database.writing() as session:
        return measuring.submit_objects(session, owner, owner_id, values, pixel_size)


def measure(
    installation: Installation, owner: MasksOf, owner_id: str, pixel_size: str = "", **params: Any
) -> Measurement:
    """Submit a measurement and let a worker in this process compute it; return its row afterwards."""
    measurement, _ = submit(installation, owner, owner_id, pixel_size, **params)
    work(installation.database, installation.settings)
    with installation.database.reading() as session:
        return session.get_one(Measurement, measurement.id)
