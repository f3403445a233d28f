"""The rows as a job sees them: every method is one short transaction (see `engine.work.context.Records`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from db import datasets, jobs, recipes, rounds, runs
from db.models import Dataset, Image, Label, LabelSet, Metric, Prediction, PredictionSet, Round, Run, RunImage
from db.session import Database


class DatabaseRecords:
    """Reads and writes through one database. Rows come back detached; changing them changes nothing.

    With `claimed`, (job id, attempt), every write raises `db.jobs.TakenOver` once the job is another worker's: two that
    believe to have the same job would delete and double each other's rows.
    """

    def __init__(self, database: Database, claimed: tuple[str, int] | None = None) -> None:
        self._database, self._claimed = database, claimed

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._database.writing() as session:
            if self._claimed is not None:
                jobs.refuse_if_taken_over(session, *self._claimed)
            yield session

    def dataset(self, dataset_id: str) -> Dataset:
        with self._database.reading() as session:
            return session.get_one(Dataset, dataset_id)

    def images(self, dataset_id: str) -> list[Image]:
        with self._database.reading() as session:
            return datasets.images(session, dataset_id)

    def content_hashes(self, dataset_id: str) -> dict[str, str]:
        with self._database.reading() as session:
            return datasets.content_hashes(session, dataset_id)

    def add_images(
        self, dataset_id: str, job_id: str, images: Sequence[dict[str, Any]], entries: Sequence[dict[str, Any]]
    ) -> None:
        with self._writing() as session:
            datasets.add_images(session, dataset_id, job_id, images, entries)

    def finish_import(self, dataset_id: str, classes: list[Any] | None, lookup: list[int] | None) -> Dataset:
        with self._writing() as session:
            return datasets.finish_import(session, dataset_id, classes, lookup)

    def label_set(self, label_set_id: str) -> LabelSet:
        with self._database.reading() as session:
            return session.get_one(LabelSet, label_set_id)

    def labelled_images(self, label_set_id: str) -> set[str]:
        with self._database.reading() as session:
            return recipes.labelled_images(session, label_set_id)

    def dropped_images(self, label_set_id: str) -> set[str]:
        with self._database.reading() as session:
            return recipes.dropped_images(session, label_set_id)

    def label_quality(self, label_set_id: str) -> dict[str, float | None]:
        with self._database.reading() as session:
            return recipes.label_quality(session, label_set_id)

    def set_state(self, label_set_id: str, state: dict[str, Any] | None, recipe_key: str) -> None:
        with self._writing() as session:
            recipes.set_state(session, label_set_id, state, recipe_key)

    def drawn_before(self, recipe_key: str, content_hashes: Sequence[str]) -> dict[str, Label]:
        with self._database.reading() as session:
            return recipes.drawn_before(session, recipe_key, content_hashes)

    def add_labels(self, label_set_id: str, rows: Sequence[dict[str, Any]]) -> None:
        with self._writing() as session:
            recipes.add_labels(session, label_set_id, rows)

    def run(self, run_id: str) -> Run:
        with self._database.reading() as session:
            return session.get_one(Run, run_id)

    def update_run(self, run_id: str, **values: Any) -> None:
        with self._writing() as session:
            runs.update_run(session, run_id, **values)

    def set_split(self, run_id: str, rows: Sequence[dict[str, Any]]) -> None:
        with self._writing() as session:
            runs.set_split(session, run_id, rows)

    def split(self, run_id: str) -> list[RunImage]:
        with self._database.reading() as session:
            return runs.split(session, run_id)

    def save_metrics(self, run_id: str, epoch: int, values: dict[str, float]) -> None:
        with self._writing() as session:
            runs.save_metrics(session, run_id, epoch, values)

    def drop_metrics_after(self, run_id: str, epoch: int) -> None:
        with self._writing() as session:
            runs.drop_metrics_after(session, run_id, epoch)

    def metrics(self, run_id: str) -> list[Metric]:
        with self._database.reading() as session:
            return runs.metrics(session, run_id)

    def save_round(self, run_id: str, number: int, **values: Any) -> None:
        with self._writing() as session:
            rounds.save_round(session, run_id, number, **values)

    def rounds(self, run_id: str) -> list[Round]:
        with self._database.reading() as session:
            return rounds.rounds(session, run_id)

    def drop_rounds_after(self, run_id: str, number: int) -> None:
        with self._writing() as session:
            rounds.drop_rounds_after(session, run_id, number)

    def ensure_prediction_set(
        self, run_id: str, dataset_id: str, job_id: str | None, flips: bool, refine: str = "none"
    ) -> str:
        with self._writing() as session:
            return runs.ensure_prediction_set(session, run_id, dataset_id, job_id, flips, refine)

    def prediction_set(self, prediction_set_id: str) -> PredictionSet:
        with self._database.reading() as session:
            return session.get_one(PredictionSet, prediction_set_id)

    def own_prediction_set(self, run_id: str) -> PredictionSet | None:
        with self._database.reading() as session:
            return runs.own_prediction_set(session, session.get_one(Run, run_id))

    def predictions(self, prediction_set_id: str) -> list[Prediction]:
        with self._database.reading() as session:
            return runs.predictions(session, prediction_set_id)

    def predicted_images(self, prediction_set_id: str) -> set[str]:
        with self._database.reading() as session:
            return runs.predicted_images(session, prediction_set_id)

    def clear_predictions(self, prediction_set_id: str) -> None:
        with self._writing() as session:
            runs.clear_predictions(session, prediction_set_id)

    def add_predictions(self, prediction_set_id: str, rows: Sequence[dict[str, Any]]) -> None:
        with self._writing() as session:
            runs.add_predictions(session, prediction_set_id, rows)
