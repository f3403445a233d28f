"""What the database says is stored, as the care of files sees it. `db.inventory.DatabaseInventory` is one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol


class Inventory(Protocol):
    """Rows come back with the attributes that each method names; ids are 32 hex digits."""

    @property
    def is_sqlite(self) -> bool: ...
    @property
    def dialect(self) -> str: ...

    def faults(self, quick: bool) -> list[str]:
        """Return what the database finds wrong with itself, in its own words."""

    def schema(self) -> tuple[str | None, str]:
        """Return (version of its tables, version that this code needs)."""

    def knows_schema(self, version: str) -> bool: ...

    def datasets(self) -> Sequence[Any]:
        """(id, name)"""

    def images(self, dataset_id: str) -> Sequence[Any]:
        """(id, height, width, has_truth)"""

    def label_sets(self) -> Sequence[Any]:
        """(id, name, dataset_id, job_id)"""

    def labels(self, label_set_id: str) -> Sequence[Any]:
        """(id, height, width) of the labelled images"""

    def prediction_sets(self) -> Sequence[Any]:
        """(id, name, dataset_id, run_id, run_dataset_id, job_id)"""

    def predictions(self, prediction_set_id: str) -> Sequence[Any]:
        """(id, height, width, has_uncertainty) of the predicted images"""

    def runs(self) -> Sequence[Any]:
        """(id, name, dataset_id, job_id, best_epoch, rounds)"""

    def jobs(self) -> Sequence[Any]:
        """(id, kind, status, payload, result, attempt)"""

    def lost_jobs(self, now: datetime, lost_after_s: float) -> set[str]: ...
    def busy_datasets(self, now: datetime, lost_after_s: float) -> set[str]: ...
