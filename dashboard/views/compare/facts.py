"""Two or more runs beside each other: their curves, their numbers, and the parameters that differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dashboard.facts import run_metrics
from db import predictions
from db.models import Dataset, LabelSet, Metric, Run
from engine.core.run_config_text import config_rows
from engine.training.run_details import encoder_weights

COMPARED_METRICS = ("val_dice", "val_iou", "val_loss")
DRAWN_METRICS = ("dice", "loss", "iou", "learning_rate")


@dataclass(frozen=True)
class ComparedRun:
    """One run as the page shows it. `prediction_set_id` is empty where its own dataset is not predicted.

    `weights` names what its encoder had learned from before, if anything. `best` and `last` hold `COMPARED_METRICS` at
    the epoch whose model the run keeps and at its last; `metric_names` are those that any epoch has.
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
    metric_names: frozenset[str]
    last_epoch: int
    best: dict[str, float]
    last: dict[str, float]
    prediction_set_id: str

    @property
    def reference(self) -> run_metrics.Reference:
        """What the scores of its curves were measured against: what it learned from."""
        return "pseudo-label" if self.label_set_id else "truth"

    @property
    def taught_by(self) -> str:
        return f"{self.label_set_name} ({self.recipe})" if self.label_set_id else "truth"

    @property
    def measured_against(self) -> str:
        return "truth" if self.reference == "truth" else f"pseudo-label {self.label_set_name}"


def compared_runs(session: Session, run_ids: Iterable[str]) -> tuple[ComparedRun, ...]:
    """Return the runs in the order given; ids that no run has are left out."""
    ids = list(dict.fromkeys(run_ids))
    query = (
        select(
            Run.id,
            Run.name,
            Run.dataset_id,
            Run.label_set_id,
            Run.preset,
            Run.code_version,
            Run.best_epoch,
            Run.train_seconds,
            Run.parameter_count,
            Run.details,
            Run.config,
            Dataset.name.label("dataset_name"),
            Dataset.truth_version,
            LabelSet.name.label("label_set_name"),
            LabelSet.method,
        )
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(LabelSet, LabelSet.id == Run.label_set_id)
        .where(Run.id.in_(ids))
    )
    found = {run.id: run for run in session.execute(query)}
    names, sets = _last_epochs(session, ids), predictions.with_masks(session, ids)
    return tuple(
        _compared(session, found[run_id], names.get(run_id, {}), sets.get(run_id, ""))
        for run_id in ids
        if run_id in found
    )


def _compared(session: Session, run: Row[Any], last_epochs: dict[str, int], prediction_set_id: str) -> ComparedRun:
    last_epoch = max(last_epochs.values(), default=0)
    ends = _values_at(session, run.id, {run.best_epoch or 0, last_epoch})
    return ComparedRun(
        id=run.id,
        name=run.name,
        dataset_id=run.dataset_id,
        dataset_name=run.dataset_name,
        truth_version=run.truth_version,
        label_set_id=run.label_set_id,
        label_set_name=run.label_set_name or "",
        recipe=run.method or "",
        preset=run.preset,
        code_version=run.code_version,
        best_epoch=run.best_epoch if ends.get(run.best_epoch or 0) else None,
        seconds=run.train_seconds,
        parameter_count=run.parameter_count,
        weights=encoder_weights(run.details),
        config=run.config,
        metric_names=frozenset(last_epochs),
        last_epoch=last_epoch,
        best=ends.get(run.best_epoch or 0, {}),
        last=ends.get(last_epoch, {}),
        prediction_set_id=prediction_set_id,
    )


def _last_epochs(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return {run: {metric: the last epoch that has it}}."""
    query = (
        select(Metric.run_id, Metric.name, func.max(Metric.epoch))
        .where(Metric.run_id.in_(run_ids))
        .group_by(Metric.run_id, Metric.name)
    )
    found: dict[str, dict[str, int]] = {}
    for run_id, name, epoch in session.execute(query):
        found.setdefault(run_id, {})[name] = epoch
    return found


def _values_at(session: Session, run_id: str, epochs: set[int]) -> dict[int, dict[str, float]]:
    """Return {epoch: {metric: value}} of `COMPARED_METRICS`."""
    query = select(Metric.epoch, Metric.name, Metric.value).where(
        Metric.run_id == run_id, Metric.epoch.in_(epochs), Metric.name.in_(COMPARED_METRICS)
    )
    found: dict[int, dict[str, float]] = {}
    for epoch, name, value in session.execute(query):
        found.setdefault(epoch, {})[name] = value
    return found


def usual_runs(session: Session) -> list[str]:
    """Return the two runs to begin with: of one dataset if any two are, with masks if they have some, newest first."""
    predicted = predictions.with_masks(session)
    query = select(Run.id, Run.dataset_id).where(Run.archived.is_(False)).order_by(Run.created_at.desc(), Run.id)
    found = sorted(session.execute(query), key=lambda run: run.id not in predicted)
    for alike in (lambda run: (run.dataset_id, run.id in predicted), lambda run: run.dataset_id):
        seen: dict[object, str] = {}
        for run in found:
            if alike(run) in seen:
                return [seen[alike(run)], run.id]
            seen[alike(run)] = run.id
    return [run.id for run in found[:2]]


def metric_choices(compared: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Return the metrics that any run has, without their validation twins: validation Dice is drawn with Dice."""
    present = frozenset[str]().union(*(run.metric_names for run in compared))
    return tuple(name for name in DRAWN_METRICS if name in present or f"val_{name}" in present)


Series = tuple[list[int], list[float]]


def curves(session: Session, run_ids: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], Series]:
    """Return {(run, metric): (epochs, values)} of these metrics alone, without what is not a finite number."""
    query = (
        select(Metric.run_id, Metric.name, Metric.epoch, Metric.value)
        .where(Metric.name.in_(names), Metric.run_id.in_(run_ids))
        .order_by(Metric.name, Metric.run_id, Metric.epoch)
    )
    found: dict[tuple[str, str], Series] = {}
    for run_id, name, epoch, value in session.execute(query):
        if math.isfinite(value):
            epochs, values = found.setdefault((run_id, name), ([], []))
            epochs.append(epoch)
            values.append(value)
    return found


def minutes(run: ComparedRun, epochs: Sequence[int]) -> list[float] | None:
    """Return when each epoch ended, in minutes of training, as if all took equally long; None where that is unknown."""
    if not run.seconds or not run.last_epoch:
        return None
    per_epoch = run.seconds / run.last_epoch / 60
    return [epoch * per_epoch for epoch in epochs]


@dataclass(frozen=True)
class Setting:
    """One thing that is set before training, and its value in each run."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


def all_settings(compared: Sequence[ComparedRun]) -> tuple[Setting, ...]:
    """Return everything that was set before training, in the order of declaration; a dash where a run lacks it."""
    lines = [_settings(run) for run in compared]
    names = dict.fromkeys(name for line in lines for name in line)
    return tuple(Setting(name, tuple(line.get(name, "–") for line in lines)) for name in names)


def _settings(run: ComparedRun) -> dict[str, str]:
    parameters = config_rows(dict(run.config), run.preset)
    return {
        "Dataset": run.dataset_name,
        "Learned from": run.taught_by,
        "Preset": run.preset,
        "Code version": run.code_version,
    } | {f"{row.group} · {row.parameter}": row.value for row in parameters}
