"""An installation for tests: settings, database and files of its own, and drawn datasets to put into it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db import datasets
from db.columns import new_id
from db.models import Dataset, Job
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
    """Return (image uint8 RGB, mask bool): a bright disc somewhere on a dark, noisy background."""
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
    pairs = [disc(size_px, seed=number) for number in range(count)]
    return add_dataset(installation, name, [(image, mask if truth else None) for image, mask in pairs], "disc {}.png")


def add_dataset(
    installation: Installation,
    name: str,
    pairs: Iterable[tuple[np.ndarray, np.ndarray | None]],
    file_names: str = "image {}.png",
) -> Dataset:
    """Store a dataset of images, uint8 RGB, with truth, bool, where there is one, the way the import job stores one."""
    with installation.database.writing() as session:
        dataset = datasets.create(session, name)
    rows = [
        image_row(installation.files, dataset.id, file_names.format(number), f"{name}{number}", *pair)
        for number, pair in enumerate(pairs)
    ]
    with installation.database.writing() as session:
        entries = [{"name": row["name"], "taken": True, "reason": ""} for row in rows]
        datasets.add_images(session, dataset.id, new_id(), rows, entries)
        return finish_dataset(session, dataset.id, any(row["has_truth"] for row in rows))


def image_row(
    files: LocalStore, dataset_id: str, name: str, content_hash: str, image: np.ndarray, truth: np.ndarray | None
) -> dict[str, Any]:
    """Write the files of one image; return its row."""
    image_id = new_id()
    files.write(stored.image_key(dataset_id, image_id), codec.encode_png(image))
    files.write(stored.thumb_key(dataset_id, image_id), codec.thumbnail(image))
    values = []
    if truth is not None:
        files.write(stored.truth_key(dataset_id, image_id), mask_png(truth))
        values = [[0, int((~truth).sum())], [255, int(truth.sum())]]
    return {
        "id": image_id,
        "name": name,
        "content_hash": content_hash,
        "width": image.shape[1],
        "height": image.shape[0],
        "has_truth": truth is not None,
        "truth_values": values,
    }


def mask_png(mask: np.ndarray) -> bytes:
    """Return a mask, bool (H, W), as a PNG of 0 and 255."""
    return codec.encode_png(mask.astype(np.uint8) * 255)


def finish_dataset(session: Session, dataset_id: str, truth: bool) -> Dataset:
    """Do what ends an import; truth from 128 on is foreground."""
    classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "foreground"}]
    lookup = [int(value >= 128) for value in range(256)]
    return datasets.finish_import(session, dataset_id, classes if truth else None, lookup if truth else None)
