"""A small installation that has one of everything that files are kept of, whole in the eyes of the doctor."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import cast

import numpy as np

from db import datasets, submissions
from db.models import Dataset
from db.session import Database
from engine.core.settings import Settings
from engine.store import keys as stored
from engine.store.local import LocalStore
from engine.store.opening import open_store
from engine.work.worker import work
from tests.support.corrected import correct
from tests.support.installation import Installation, add_discs
from tests.support.leaving_out import leave_out
from tests.support.object_measurements import measure
from tests.support.predicted import add_label_set, add_run

IMAGES = 6


def opened(root: Path, url: str = "", store_url: str = "") -> Installation:
    """Return the installation in a folder, without migrating it; `url` is its database if that is none of SQLite."""
    settings = Settings(data_root=root, database_url=url, store_url=store_url, free_disk_floor_mb=0, warm_worker_s=0)
    files = cast(LocalStore, open_store(settings, patience_s=5))
    return Installation(settings, Database(settings.resolved_database_url), files)


def make(root: Path, store_url: str = "") -> Installation:
    """Fill a folder: images with truth, a correction, a region left out, masks, a run, its predictions, measurements,
    an export and a job's log.
    """
    installation = opened(root, store_url=store_url)
    installation.database.migrate()
    dataset = add_discs(installation, IMAGES)
    add_discs(installation, 2, "others")
    label_set_id = add_label_set(installation, dataset)
    add_label_set(installation, dataset, "spare")
    run = add_run(installation, dataset, "run", label_set_id=label_set_id)
    installation.files.write(stored.best_model_key(run.id), _whole_zip())
    correct(installation, dataset, "disc 0.png")
    region = np.zeros((64, 64), bool)
    region[:4] = True
    leave_out(installation, dataset.id, region)
    measure(installation, "truth", dataset.id)
    with installation.database.writing() as session:
        submissions.submit_export(session, "label_set", label_set_id, "coco", 0.5)
    work(installation.database, installation.settings)
    return installation


def first_dataset(installation: Installation) -> Dataset:
    """Return the dataset that everything in it is of."""
    with installation.database.reading() as session:
        return next(row for row in datasets.listing(session) if row.name == "discs")


def _whole_zip() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("model", "stands for a network")
    return written.getvalue()
