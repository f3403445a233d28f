"""Two or more runs beside each other: numbers, parameters that differ, and the same images' masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sqlalchemy.orm import Session

from dashboard import urls
from dashboard.viewmodels import run_metrics
from dashboard.viewmodels.config_table import config_rows
from dashboard.viewmodels.scores import Reference, ScoreTable, mean, shared_rows
from db import predictions, runs
from db.models import Dataset, LabelSet, Run
from engine.run_details import encoder_weights

MOST_RUNS = 6


@dataclass(frozen=True)
class ComparedRun:
    """One run as the page shows it. `prediction_set_id` is empty where its own dataset is not predicted.

    `weights` names what its encoder had learned from before, if anything.
    """

    id: str
    name: str
    dataset_id: str
    dataset_name: str
    truth_version: int
    label_set_id: str | None
    label_set_name: str
    recipe: str
    preset: str
    code_version: str
    best_epoch: int | None
    seconds: float | None
    parameter_count: int | None
    weights: str
    config: dict[str, object]
    history: run_metrics.MetricHistory
    prediction_set_id: str

    @property
    def reference(self) -> run_metrics.Reference:
        """What the scores of its curves were measured against: what it learned from."""
        return "pseudo-label" if self.label_set_id else "truth"

    @property
    def taught_by(self) -> str:
        return f"{self.label_set_name} ({self.recipe})" if self.label_set_id else "truth"


def compared_runs(session: Session, run_ids: Sequence[str]) -> tuple[ComparedRun, ...]:
    """Return the runs in the order given; ids that no run has are left out."""
    found = (session.get(Run, run_id) for run_id in dict.fromkeys(run_ids))
    sets = predictions.own_sets(session, run_ids)
    return tuple(_compared(session, run, sets[run.id][0].id if run.id in sets else "") for run in found if run)


def usual_runs(session: Session) -> list[str]:
    """Return the two runs to begin with: of one dataset if any two are, with masks if they have some, newest first."""
    predicted = predictions.own_sets(session)
    found = sorted(runs.listing(session), key=lambda run: run.id not in predicted)
    for first in found:
        for second in found:
            if first is not second and first.dataset_id == second.dataset_id:
                return [first.id, second.id]
    return [run.id for run in found[:2]]


def _compared(session: Session, run: Run, prediction_set_id: str) -> ComparedRun:
    dataset = session.get_one(Dataset, run.dataset_id)
    label_set = session.get(LabelSet, run.label_set_id) if run.label_set_id else None
    history = run_metrics.MetricHistory()
    for row in runs.metrics(session, run.id):
        history.by_epoch.setdefault(row.epoch, {})[row.name] = row.value
    return ComparedRun(
        id=run.id,
        name=run.name,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        truth_version=dataset.truth_version,
        label_set_id=run.label_set_id,
        label_set_name=label_set.name if label_set else "",
        recipe=label_set.method if label_set else "",
        preset=run.preset,
        code_version=run.code_version,
        best_epoch=run.best_epoch,
        seconds=run.train_seconds,
        parameter_count=run.parameter_count,
        weights=encoder_weights(run.details),
        config=run.config,
        history=history,
        prediction_set_id=prediction_set_id,
    )


def metric_choices(compared: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Return the metrics that any run has, without their validation twins: validation Dice is drawn with Dice."""
    present = {name for run in compared for values in run.history.by_epoch.values() for name in values}
    known = ("dice", "loss", "iou", "learning_rate")
    return tuple(name for name in known if name in present or f"val_{name}" in present)


@dataclass(frozen=True)
class MetricRow:
    """A run's numbers: at its best epoch and at its last, against what taught it; then over the shared images."""

    name: str
    weights: str
    measured_against: str
    epochs: int
    best_epoch: int | None
    best: dict[str, float | None]
    last: dict[str, float | None]
    seconds: float | None
    parameter_count: int | None


COMPARED_METRICS = ("val_dice", "val_iou", "val_loss")


def metric_rows(compared: Sequence[ComparedRun]) -> tuple[MetricRow, ...]:
    """Return one row for each run. The best epoch is the one whose model the run keeps."""
    rows = []
    for run in compared:
        by_epoch = run.history.by_epoch
        best_epoch = run.best_epoch if run.best_epoch in by_epoch else None
        best, last = by_epoch.get(best_epoch or 0, {}), by_epoch.get(run.history.last_epoch, {})
        rows.append(
            MetricRow(
                name=run.name,
                weights=run.weights,
                measured_against="truth" if run.reference == "truth" else f"pseudo-label {run.label_set_name}",
                epochs=run.history.last_epoch,
                best_epoch=best_epoch,
                best={name: best.get(name) for name in COMPARED_METRICS},
                last={name: last.get(name) for name in COMPARED_METRICS},
                seconds=run.seconds,
                parameter_count=run.parameter_count,
            )
        )
    return tuple(rows)


def differences(compared: Sequence[ComparedRun]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (what, its value in each run) of everything set before training that is not the same in all runs."""
    lines = [_settings(run) for run in compared]
    names = dict.fromkeys(name for line in lines for name in line)
    found = ((name, tuple(line.get(name, "–") for line in lines)) for name in names)
    return tuple((name, values) for name, values in found if len(set(values)) > 1)


def _settings(run: ComparedRun) -> dict[str, str]:
    parameters = config_rows(dict(run.config), run.preset)
    return {
        "Dataset": run.dataset_name,
        "Learned from": run.taught_by,
        "Preset": run.preset,
        "Code version": run.code_version,
    } | {f"{row.group} · {row.parameter}": row.value for row in parameters}


@dataclass(frozen=True)
class SharedImages:
    """The images that all runs with predictions have predicted. Row i of every array is the same image.

    `rows` is int64 (images, runs): the row in each run's score table. `reference` is what all scores are measured
    against, or None where the runs share no reference; then `spread` compares areas instead.
    """

    runs: tuple[ComparedRun, ...]
    tables: tuple[ScoreTable, ...]
    rows: np.ndarray
    reference: Reference | None
    threshold: float = 0.5

    @cached_property
    def scores(self) -> np.ndarray:
        """Dice of each image in each run at the mask threshold, (images, runs); NaN where there is no reference."""
        if self.reference is None:
            return np.full(self.rows.shape, np.nan)
        return self._columns([table.scores(self.reference, self.threshold) for table in self.tables])

    @cached_property
    def areas(self) -> np.ndarray:
        """The mask's share of each image in each run at the mask threshold, (images, runs)."""
        return self._columns([table.area(self.threshold) for table in self.tables])

    def _columns(self, values: list[np.ndarray]) -> np.ndarray:
        return np.stack([column[self.rows[:, index]] for index, column in enumerate(values)], axis=1)

    @cached_property
    def spread(self) -> np.ndarray:
        """How far the runs are apart on each image, (images,): largest less smallest score, else area."""
        values = self.scores if self.reference else self.areas
        return np.nan_to_num(values.max(axis=1) - values.min(axis=1), nan=-1.0)

    @cached_property
    def held_out(self) -> np.ndarray:
        """Whether none of the runs has learned from an image, bool (images,)."""
        sides = [table.splits[self.rows[:, column]] == "validation" for column, table in enumerate(self.tables)]
        return np.all(sides, axis=0)

    def order(self, by: str) -> np.ndarray:
        """Return the images in order: "disagreement" (largest first), "worst" (lowest mean score first) or "name"."""
        if by == "name" or not len(self.rows):
            return (
                np.argsort(self.tables[0].name_ranks[self.rows[:, 0]], kind="stable") if len(self.rows) else self.rows
            )
        if by == "worst" and self.reference:
            return np.argsort(self.scores.mean(axis=1), kind="stable")
        return np.argsort(-self.spread, kind="stable")

    def find(self, image_id: str) -> int | None:
        """Return which image has an id in the first run's dataset."""
        row = self.tables[0].index.get(image_id, -1)
        found = np.flatnonzero(self.rows[:, 0] == row)
        return int(found[0]) if len(found) else None

    def image_id(self, image: int, column: int = 0) -> str:
        return self.tables[column].image_ids[self.rows[image, column]]

    def name(self, image: int) -> str:
        return self.tables[0].names[self.rows[image, 0]]

    def means(self, held_out_only: bool) -> tuple[int, list[float | None]]:
        """Return how many shared images have a score in every run, and each run's mean over them.

        `held_out_only` keeps those that no run has learned from.
        """
        # An image without a score in one run must not count in another's mean.
        kept = np.isfinite(self.scores).all(axis=1)
        if held_out_only:
            kept = kept & self.held_out
        return int(kept.sum()), [mean(self.scores[kept, column]) for column in range(len(self.runs))]


def shared_images(compared: Sequence[ComparedRun], read: Callable[[str], ScoreTable]) -> SharedImages | None:
    """Return the images that all runs with predictions share.

    Images of different datasets are the same if their pictures are. `read` returns the scores of a prediction set.
    None if fewer than two runs have predictions.
    """
    predicted = tuple(run for run in compared if run.prediction_set_id)
    if len(predicted) < 2:
        return None
    tables = tuple(read(run.prediction_set_id) for run in predicted)
    rows = shared_rows(tables, by_content=len({run.dataset_id for run in predicted}) > 1)
    reference = _common_reference(predicted, tables, rows)
    return SharedImages(predicted, tables, rows, reference)


def _common_reference(
    compared: Sequence[ComparedRun], tables: Sequence[ScoreTable], rows: np.ndarray
) -> Reference | None:
    """Truth if every run has it; the pseudo-label only if one label set taught them all: else scores mean different
    things."""
    candidates: list[Reference] = ["truth"]
    if len({run.label_set_id for run in compared}) == 1:
        candidates.append("label")
    for reference in candidates:
        known = [np.isfinite(table.dice[reference][rows[:, column], 0]) for column, table in enumerate(tables)]
        if np.all(known, axis=0).any():
            return reference
    return None


def reference_url(run: ComparedRun, reference: Reference | None, image_id: str, size: int | None = None) -> str | None:
    """Return the address of an image's reference mask, or None where the runs share none."""
    if reference == "label" and run.label_set_id:
        return urls.label(run.label_set_id, image_id, size)
    if reference == "truth":
        return urls.truth(run.dataset_id, image_id, size, version=run.truth_version)
    return None


def cautions(compared: Sequence[ComparedRun], shared: SharedImages | None) -> tuple[str, ...]:
    """Return a sentence for everything that cannot be compared, or not straight away."""
    found = []
    if len({(run.reference, run.label_set_id) for run in compared}) > 1:
        found.append(
            "The runs learned from different references, so their curves and validation Dice measure different things. "
            "Compare the scores over shared images below instead."
        )
    datasets = list(dict.fromkeys(run.dataset_name for run in compared))
    if len({run.dataset_id for run in compared}) > 1:
        found.append(
            f"The runs belong to different datasets ({', '.join(datasets)}): their curves were measured on different "
            "images. Masks are compared on the pictures that both datasets hold."
        )
    missing = [run.name for run in compared if not run.prediction_set_id]
    if missing:
        found.append(f"No masks yet of {', '.join(missing)}: only curves and parameters are compared.")
    if shared is not None and not len(shared.rows):
        found.append("The runs with masks share no picture, so there are no masks to compare.")
    elif shared is not None and shared.reference is None:
        found.append(
            "The runs share no reference, so images are sorted by how much the masks' areas differ, not by score."
        )
    return tuple(found)


def curve_values(run: ComparedRun, name: str) -> tuple[list[int], list[float]]:
    """Return (epochs, values) of one metric, without what is not a finite number."""
    epochs, values = run.history.series(name)
    kept = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if math.isfinite(value)]
    return [epoch for epoch, _ in kept], [value for _, value in kept]
