"""Two or more runs side by side: their curves, their numbers, and the settings that differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dashboard.facts import run_metrics
from db import predictions, runs
from db.models import Dataset, LabelSet, Metric, Run
from engine.core.run_config_text import config_rows
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.training.run_details import weights_note

COMPARED_METRICS = ("val_dice", "val_iou", "val_loss")
DRAWN_METRICS = ("dice", "loss", "iou", "learning_rate")


@dataclass(frozen=True)
class ComparedRun:
    """One run as the page shows it. `prediction_set_id` is empty without masks of its own dataset.

    `classes` are those that it tells apart, as in `db.models.Run`, with their colours, and `truth_in_classes` whether
    truth has them, as for `runs.truth_in_classes`; `weights` names the pretrained weights that helped it or its
    labels. `best` and `last` hold `COMPARED_METRICS` at the epoch of the kept model and at the last epoch;
    `metric_names` are those that any epoch has.
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
    classes: list[dict[str, object]]
    class_colours: tuple[str, ...]
    truth_in_classes: runs.TruthClasses | None
    config: dict[str, object]
    metric_names: frozenset[str]
    last_epoch: int
    best: dict[str, float]
    last: dict[str, float]
    prediction_set_id: str

    @property
    def reference(self) -> run_metrics.Reference:
        """What its curves are measured against: what it was trained on."""
        return "pseudo-label" if self.label_set_id else "truth"

    @property
    def trained_on(self) -> str:
        return f"{self.label_set_name} ({self.recipe})" if self.label_set_id else "truth"

    @property
    def measured_against(self) -> str:
        return "truth" if self.reference == "truth" else f"pseudo-label {self.label_set_name}"


def compared_runs(session: Session, run_ids: Iterable[str]) -> tuple[ComparedRun, ...]:
    """Return the runs in the given order; unknown ids are left out."""
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
            Run.train_seconds.label("seconds"),
            Run.parameter_count,
            Run.details,
            Run.classes,
            Run.config,
            Dataset.name.label("dataset_name"),
            Dataset.truth_version,
            func.coalesce(LabelSet.name, "").label("label_set_name"),
            func.coalesce(LabelSet.method, "").label("recipe"),
        )
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(LabelSet, LabelSet.id == Run.label_set_id)
        .where(Run.id.in_(ids))
    )
    rows = {run.id: run for run in session.execute(query)}
    names, sets = _last_epochs(session, ids), predictions.with_masks(session, ids)
    return tuple(
        _compared(session, rows[run_id], names.get(run_id, {}), sets.get(run_id, ""))
        for run_id in ids
        if run_id in rows
    )


def _compared(session: Session, run: Row[Any], last_epochs: dict[str, int], prediction_set_id: str) -> ComparedRun:
    last_epoch = max(last_epochs.values(), default=0)
    ends = _values_at(session, run.id, {run.best_epoch or 0, last_epoch})
    best = ends.get(run.best_epoch or 0, {})
    values = {**run._mapping, "best_epoch": run.best_epoch if best else None}
    colours: tuple[str, ...] = ()
    truth_in_classes = None
    if run.classes:
        row, dataset = session.get_one(Run, run.id), session.get_one(Dataset, run.dataset_id)
        colours = tuple(class_colours(with_present_colours(run.classes, dataset.classes)))
        truth_in_classes = runs.truth_in_classes(session, row, dataset)
    return ComparedRun(
        class_colours=colours,
        truth_in_classes=truth_in_classes,
        weights=weights_note(values.pop("details")),
        **values,
        metric_names=frozenset(last_epochs),
        last_epoch=last_epoch,
        best=best,
        last=ends.get(last_epoch, {}),
        prediction_set_id=prediction_set_id,
    )


def _last_epochs(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return {run: {metric: its last epoch}}."""
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
    """Return the runs compared by default: two of one dataset, with masks if possible; else the newest run."""
    predicted = predictions.with_masks(session)
    query = select(Run.id, Run.dataset_id).where(Run.archived.is_(False)).order_by(Run.created_at.desc(), Run.id)
    found = sorted(session.execute(query), key=lambda run: run.id not in predicted)
    for alike in (lambda run: (run.dataset_id, run.id in predicted), lambda run: run.dataset_id):
        seen: dict[object, str] = {}
        for run in found:
            if alike(run) in seen:
                return [seen[alike(run)], run.id]
            seen[alike(run)] = run.id
    return [run.id for run in found[:1]]


def metric_choices(compared: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Return the metrics that any run has; the validation metrics are drawn with their training counterparts."""
    present = frozenset[str]().union(*(run.metric_names for run in compared))
    return tuple(name for name in DRAWN_METRICS if name in present or f"val_{name}" in present)


Series = tuple[list[int], list[float]]


def curves(session: Session, run_ids: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], Series]:
    """Return {(run, metric): (epochs, values)} of these metrics, without values that are not finite."""
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
    """Return when each epoch ended, in minutes of training, if all took equally long; None where unknown."""
    if not run.seconds or not run.last_epoch:
        return None
    per_epoch = run.seconds / run.last_epoch / 60
    return [epoch * per_epoch for epoch in epochs]


@dataclass(frozen=True)
class Setting:
    """One setting of a training, and its value in each run."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


def all_settings(compared: Sequence[ComparedRun]) -> tuple[Setting, ...]:
    """Return all settings of the runs, in the order of declaration; a dash where a run lacks one."""
    columns = [_settings(run) for run in compared]
    names = dict.fromkeys(name for column in columns for name in column)
    return tuple(Setting(name, tuple(column.get(name, "–") for column in columns)) for name in names)


def _settings(run: ComparedRun) -> dict[str, str]:
    parameters = config_rows(dict(run.config), run.preset)
    return {
        "Dataset": run.dataset_name,
        "Trained on": run.trained_on,
        "Preset": run.preset.replace("_", " "),
        "Code version": run.code_version,
    } | {f"{row.group} · {row.parameter}": row.value for row in parameters}
