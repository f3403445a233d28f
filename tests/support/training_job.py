"""What the tests of training and prediction jobs share: a run that trains in seconds, and a context that remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from db import submissions
from db.jobs import Progress
from db.models import Dataset, Job, Run
from engine.core.run_config import config_from
from engine.work.progress_words import progress_words
from tests.support.installation import Installation

Found = TypeVar("Found")


@dataclass
class Context:
    """A `JobContext` on an installation's database and files; asks for a stop after `stop_after` calls of progress."""

    installation: Installation
    stop_after: int | None = None
    said: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.artifacts = self.installation.files
        self.reading = self.installation.database.reading
        self.writing = self.installation.database.writing

    @property
    def texts(self) -> list[str]:
        """The progress so far, in the words that pages show."""
        return [progress_words(progress) for progress in self.said]

    def read(self, query: Callable[..., Found], *arguments: Any) -> Found:
        """Return what a query of `db` answers."""
        with self.reading() as session:
            return query(session, *arguments)

    def progress(
        self, done: int, total: int, *, unit: str = "images", phase: str = "", rate: float | None = None, **details: Any
    ) -> None:
        self.said.append(Progress(done, total, unit, phase, rate, details))

    def should_stop(self) -> bool:
        trained = [entry for entry in self.said if entry.phase != "preparing_images"]
        return self.stop_after is not None and len(trained) >= self.stop_after


def training_progress(
    epoch: int, epochs: int, done: int, total: int, rate: float, per_round: int | None = None, **details: Any
) -> Progress:
    """Return what a training reports in an epoch after `done` of its `total` images, at `rate` images per second."""
    per_round = per_round or epochs
    where = {"epoch": epoch, "epochs": epochs, "round": (epoch - 1) // per_round + 1, "rounds": epochs // per_round}
    details |= {"part_done": done, "part_total": total} | where
    return Progress((epoch - 1) * total + done, epochs * total, phase="training", rate=rate, details=details)


def submit_train(
    installation: Installation,
    dataset: Dataset,
    label_set_id: str | None = None,
    name: str = "run",
    groups: Any = None,
    **training: Any,
) -> tuple[Run, Job]:
    """Add a tiny run and its job, as the worker claims it."""
    values = {
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": 0.01} | training,
        "model": {"image_size": 32, "depth": 1, "base_filters": 4},
    }
    config = config_from("fast", values | (groups or {})).model_dump(mode="json")
    with installation.database.writing() as session:
        run, job = submissions.submit_train(session, dataset.id, label_set_id, name, "fast", config, "test")
        job.attempt = 1
    return run, job
