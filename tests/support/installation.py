"""An installation for tests: settings, database and files of its own, and drawn datasets to put into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db import datasets
from db.models import Dataset, Job, new_id
from db.session import Database
from engine.core.settings import Settings
from engine.imaging import codec
from engine.store import keys as stored
from engine.store.local import LocalStore

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Installation:
    """One installation: its settings, its database (migrated) and its files."""

    settings: Settings
    database: Database
    files: LocalStore

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            return session.get_one(Job, job_id)


def disc(size_px: int = 64, radius_px: int = 18, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (image uint8 RGB, mask bool): a bright disc somewhere on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(radius_px, size_px - radius_px, size=2)
    rows, columns = np.mgrid[:size_px, :size_px]
    mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius_px**2
    image = np.where(mask[..., None], (220, 180, 60), (30, 50, 80)) + rng.normal(0, 8, (size_px, size_px, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def add_discs(
    installation: Installation, count: int = 6, name: str = "discs", truth: bool = True, size_px: int = 64
) -> Dataset:
    """Store a dataset of drawn discs, the way the import job stores one."""
    with installation.database.writing() as session:
        dataset = datasets.create(session, name)
    rows = []
    for number in range(count):
        image, mask = disc(size_px, seed=number)
        image_id = new_id()
        installation.files.write(stored.image_key(dataset.id, image_id), codec.encode_png(image))
        installation.files.write(stored.thumb_key(dataset.id, image_id), codec.thumbnail(image))
        if truth:
            installation.files.write(
                stored.truth_key(dataset.id, image_id), codec.encode_png(mask.astype(np.uint8) * 255)
            )
        rows.append(
            {
                "id": image_id,
                "name": f"disc {number}.png",
                "content_hash": f"{name}{number}",
                "width": size_px,
                "height": size_px,
                "has_truth": truth,
                "truth_values": [[0, int((~mask).sum())], [255, int(mask.sum())]] if truth else [],
            }
        )
    classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "foreground"}] if truth else None
    lookup = [int(value >= 128) for value in range(256)] if truth else None
    with installation.database.writing() as session:
        entries = [{"name": row["name"], "taken": True, "reason": ""} for row in rows]
        datasets.add_images(session, dataset.id, new_id(), rows, entries)
        return datasets.finish_import(session, dataset.id, classes, lookup)
