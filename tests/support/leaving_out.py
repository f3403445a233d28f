"""Leaving a region out of a dataset, for tests."""

from __future__ import annotations

import numpy as np

from db import left_out as rows
from db.models import Dataset, LeftOutRegion
from engine.datasets.left_out import store
from tests.support.installation import Installation


def leave_out(installation: Installation, dataset_id: str, region: np.ndarray, base: int = 0) -> LeftOutRegion:
    """Leave a region, bool (H, W), out of all images of a dataset whose newest revision is `base`."""

    def commit(values):
        with installation.database.writing() as session:
            return rows.add(session, dataset_id, base, values)

    return store(installation.files, commit, dataset_id, region, "drawn")


def region_now(installation: Installation, dataset_id: str) -> str | None:
    """Return the id of the region that is left out of a dataset now."""
    with installation.database.reading() as session:
        return session.get_one(Dataset, dataset_id).left_out_id
