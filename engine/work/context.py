"""What a job is given, and how it ends.

Each job kind is one module with `run(job, context) -> dict`: the dict becomes the job's result. A job writes files
first and rows second, can be run again after a crash at any line without doubling anything, and looks at
`should_stop()` often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from engine.store.base import Store


class JobFailed(Exception):
    """The job cannot go on. The message is a sentence a person can act on."""


class JobStopped(Exception):
    """A person asked to stop and the job has put everything in order. `result` is kept like a finished job's."""

    def __init__(self, result: dict[str, Any] | None = None) -> None:
        super().__init__("stopped by a person")
        self.result = result or {}


class Job(Protocol):
    """The part of a job's row that the work needs. `attempt` counts from 1; above 1 it is a resume or a retry."""

    id: str
    payload: dict[str, Any]
    attempt: int


class Records(Protocol):
    """The rows a job may read and write. Every call is one short transaction. Rows come back as plain attributes.

    Attributes are those of the classes of the same name in `db.models`.
    """

    def dataset(self, dataset_id: str) -> Any: ...
    def images(self, dataset_id: str) -> list[Any]: ...
    def content_hashes(self, dataset_id: str) -> dict[str, str]: ...
    def add_images(
        self, dataset_id: str, job_id: str, images: Sequence[dict[str, Any]], entries: Sequence[dict[str, Any]]
    ) -> None:
        """Add rows; see `db.models.Image` and `db.models.ImportEntry` for their keys.

        An image whose content hash is there already, and an entry whose name this job reported, are left as they are.
        """

    def finish_import(self, dataset_id: str, classes: list[Any] | None, lookup: list[int] | None) -> Any: ...

    def label_set(self, label_set_id: str) -> Any: ...
    def labelled_images(self, label_set_id: str) -> set[str]: ...
    def dropped_images(self, label_set_id: str) -> set[str]: ...
    def label_quality(self, label_set_id: str) -> dict[str, float | None]: ...
    def set_state(self, label_set_id: str, state: dict[str, Any] | None, recipe_key: str) -> None: ...
    def drawn_before(self, recipe_key: str, content_hashes: Sequence[str]) -> dict[str, Any]:
        """Return {content hash: label} of pictures that a label set of the same recipe has a mask of."""

    def add_labels(self, label_set_id: str, rows: Sequence[dict[str, Any]]) -> None: ...

    def run(self, run_id: str) -> Any: ...
    def update_run(self, run_id: str, **values: Any) -> None: ...
    def set_split(self, run_id: str, rows: Sequence[dict[str, Any]]) -> None: ...
    def split(self, run_id: str) -> list[Any]: ...
    def save_metrics(self, run_id: str, epoch: int, values: dict[str, float]) -> None: ...
    def drop_metrics_after(self, run_id: str, epoch: int) -> None: ...

    def metrics(self, run_id: str) -> list[Any]:
        """Return the rows (epoch, name, value) of a run's metrics."""

    def save_round(self, run_id: str, number: int, **values: Any) -> None:
        """Add or replace a finished round of self-training; see `db.models.Round` for its values."""

    def rounds(self, run_id: str) -> list[Any]: ...
    def drop_rounds_after(self, run_id: str, number: int) -> None: ...

    def ensure_prediction_set(
        self, run_id: str, dataset_id: str, job_id: str | None, flips: bool, refine: str = "none"
    ) -> str: ...
    def prediction_set(self, prediction_set_id: str) -> Any: ...
    def own_prediction_set(self, run_id: str) -> Any | None:
        """Return a run's predictions on the dataset that taught it, or None."""

    def predictions(self, prediction_set_id: str) -> list[Any]: ...
    def predicted_images(self, prediction_set_id: str) -> set[str]: ...
    def clear_predictions(self, prediction_set_id: str) -> None: ...
    def add_predictions(self, prediction_set_id: str, rows: Sequence[dict[str, Any]]) -> None: ...


class JobContext(Protocol):
    """How a job reaches files, rows and its worker."""

    artifacts: Store
    records: Records

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Say how far the job is. Cheap: written to the database at most about twice a second."""

    def should_stop(self) -> bool:
        """Whether a person asked to stop, or the job was given to another worker. Cheap: reads a flag."""
