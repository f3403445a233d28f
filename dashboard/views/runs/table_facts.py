"""The table of all runs: one small row each, filters and orders.

Dice vs truth and agreement with the pseudo-label are those of the stored masks, as on the page of a run, so that each
column is one measure. The soft Dice of the best epoch is against what the run was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session, defer

from dashboard.facts.jobs import job_view
from dashboard.server import exports
from dashboard.views.runs.facts import seconds_trained
from db.models import Dataset, Job, LabelSet, Metric, Prediction, PredictionSet, Run
from engine.training.run_details import LABEL_WEIGHTS, weights_note
from engine.work.progress_words import epoch_words

SPARKLINE_POINTS = 30
"""A sparkline is about 80 px wide, so more points would be wasted."""

LISTED_RUNS = 200

Sort = Literal[
    "Newest first", "Oldest first", "Name", "Best Dice vs truth", "Best agreement", "Longest training", "Status"
]
SORTS: tuple[Sort, ...] = get_args(Sort)
Archived = Literal["Hidden", "Shown too", "Shown alone"]
ARCHIVED: tuple[Archived, ...] = get_args(Archived)


@dataclass(frozen=True)
class RunRow:
    """One row of the table. `dice_vs_truth` and `agreement` with the pseudo-label are means over masks of validation
    images, `soft_dice` is that of its best epoch against what it was trained on; each may be unknown.

    `epoch` is what a run at work is doing, such as "Epoch 3 of 10", as its own page says it; else empty.

    `weights` names the pretrained weights that helped it or its labels. `val_dice` is thinned to about
    `SPARKLINE_POINTS` epochs including the last.
    """

    id: str
    name: str
    dataset: str
    trained_on: str
    preset: str
    status: str
    epoch: str
    epochs_done: int
    epochs_total: int
    best_epoch: int | None
    dice_vs_truth: float | None
    soft_dice: float | None
    agreement: float | None
    weights: str
    seconds: float | None
    parameter_count: int | None
    created_at: datetime
    val_dice: tuple[float, ...]
    tags: tuple[str, ...]
    note: str
    pinned: bool
    archived: bool


@dataclass(frozen=True)
class Filter:
    """Which runs are shown; empty means all. `text` is searched in name, dataset, labels, tags and note."""

    text: str = ""
    statuses: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    archived: Archived = "Hidden"

    @property
    def count(self) -> int:
        """How many kinds of filter are set, the text aside."""
        return sum(map(bool, (self.statuses, self.datasets, self.tags))) + (self.archived != "Hidden")

    def keeps(self, row: RunRow) -> bool:
        read = "\n".join((row.name, row.dataset, row.trained_on, *row.tags, row.note)).casefold()
        return (self.archived == "Shown too" or row.archived == (self.archived == "Shown alone")) and (
            (not self.statuses or row.status in self.statuses)
            and (not self.datasets or row.dataset in self.datasets)
            and (not self.tags or not set(self.tags).isdisjoint(row.tags))
            and all(word in read for word in self.text.casefold().split())
        )


@dataclass(frozen=True)
class Learned:
    """What a run keeps once it has ended: epochs that were planned, the pretrained weights that helped, its last epoch,
    its highest validation Dice, and the thinned curve of that Dice."""

    epochs_total: int = 0
    weights: str = ""
    last_epoch: int = 0
    highest: float | None = None
    val_dice: tuple[float, ...] = ()


Cache = dict[str, tuple[object, Learned]]
"""Of ended runs by run id, with a stamp that changes when a run is resumed."""


def run_rows(session: Session, now: datetime, lost_after_s: float, cache: Cache | None = None) -> tuple[RunRow, ...]:
    """Return all runs, newest first. Reads single columns instead of objects, all settings and all metrics.

    Args:
        cache: updated in place; settings and metrics of a run in it are not read again until the run is resumed.
    """
    found = session.execute(_columns().order_by(Run.created_at.desc(), Run.id)).all()
    # Payloads and results of hundreds of jobs are large, and `job_view` reads neither.
    small = select(Job).options(defer(Job.payload), defer(Job.result)).where(Job.id.in_(select(Run.job_id)))
    jobs = {job.id: job for job in session.scalars(small)}
    learned = _learned(session, {run.id: _stamp(run, jobs.get(run.job_id)) for run in found}, cache)
    scores = _scores_by_run(session)
    return tuple(
        _row(
            run,
            jobs.get(run.job_id),
            learned.get(run.id, Learned()),
            scores.get(run.id, (None, None)),
            now,
            lost_after_s,
        )
        for run in found
    )


def _columns() -> Any:
    return (
        select(
            Run.id,
            Run.name,
            Run.label_set_id,
            Run.preset,
            Run.created_at,
            Run.job_id,
            Run.ended_reason,
            Run.best_epoch,
            Run.best_val_dice,
            Run.train_seconds,
            Run.parameter_count,
            Run.note,
            Run.tags,
            Run.pinned,
            Run.archived,
            Dataset.name.label("dataset"),
            LabelSet.name.label("label_set"),
        )
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(LabelSet, LabelSet.id == Run.label_set_id)
    )


def _row(
    run: Row[Any],
    job: Job | None,
    learned: Learned,
    scores: tuple[float | None, float | None],
    now: datetime,
    lost_after_s: float,
) -> RunRow:
    view = job_view(job, now, lost_after_s)
    by_truth = run.label_set_id is None
    best = run.best_val_dice if run.best_val_dice is not None else learned.highest
    return RunRow(
        id=run.id,
        name=run.name,
        dataset=run.dataset,
        trained_on="truth" if by_truth else run.label_set,
        preset=run.preset,
        status=view.status if view else "stopped",
        epoch=epoch_words(view.progress) if view and view.status in ("running", "stopping") else "",
        epochs_done=learned.last_epoch,
        epochs_total=learned.epochs_total,
        best_epoch=run.best_epoch,
        dice_vs_truth=scores[0],
        soft_dice=best,
        agreement=scores[1],
        weights=learned.weights,
        seconds=seconds_trained(run, view),
        parameter_count=run.parameter_count,
        created_at=run.created_at,
        val_dice=learned.val_dice,
        tags=tuple(run.tags),
        note=run.note,
        pinned=run.pinned,
        archived=run.archived,
    )


def _stamp(run: Row[Any], job: Job | None) -> object:
    """Return a key that changes when an ended run has trained further; None while it may train."""
    if job is not None and not job.status.ended:
        return None
    return (job.id, job.attempt, job.finished_at) if job else (run.best_epoch, run.train_seconds)


def _learned(session: Session, stamps: dict[str, object], cache: Cache | None) -> dict[str, Learned]:
    """Return {run: what it keeps}, reading only those whose stamp in the cache is missing or outdated."""
    cache = {} if cache is None else cache
    for deleted in cache.keys() - stamps.keys():
        cache.pop(deleted, None)
    known = {
        run_id: cache[run_id][1]
        for run_id, stamp in stamps.items()
        if stamp is not None and run_id in cache and cache[run_id][0] == stamp
    }
    missing = [run_id for run_id in stamps if run_id not in known]
    if not missing:
        return known
    # A long list of ids costs more than reading all runs from the index, and databases limit its length.
    read = _read_learned(session, missing if len(missing) <= LISTED_RUNS else None)
    cache.update({run_id: (stamps[run_id], read.get(run_id, Learned())) for run_id in missing})
    return {**read, **known}


def _read_learned(session: Session, run_ids: Sequence[str] | None) -> dict[str, Learned]:
    """Return {run: what it keeps} of these runs, or of all."""
    settings = select(
        Run.id,
        Run.label_set_id,
        Run.config["training"]["epochs"].as_integer().label("epochs"),
        Run.config["self_training"]["rounds"].as_integer().label("rounds"),
        Run.details["weights"].as_string().label("weights"),
        Run.details[LABEL_WEIGHTS].as_string().label("label_weights"),
    ).where(*([] if run_ids is None else [Run.id.in_(run_ids)]))
    metrics = _read_metrics(session, run_ids)
    return {
        run.id: Learned(
            (run.epochs or 0) * (1 if run.label_set_id is None else run.rounds or 1),
            weights_note({"weights": run.weights, LABEL_WEIGHTS: run.label_weights}),
            *metrics.get(run.id, ()),
        )
        for run in session.execute(settings)
    }


def _read_metrics(
    session: Session, run_ids: Sequence[str] | None
) -> dict[str, tuple[int, float | None, tuple[float, ...]]]:
    """Return {run: last epoch, highest validation Dice and its thinned curve} from a single index."""
    of_runs = [] if run_ids is None else [Metric.run_id.in_(run_ids)]
    # Epochs are counted by the training loss: every epoch has it, validation may be missing.
    last = select(Metric.run_id, func.max(Metric.epoch)).where(Metric.name == "loss", *of_runs).group_by(Metric.run_id)
    grouped = (
        select(Metric.run_id, func.max(Metric.epoch).label("last"), func.max(Metric.value).label("highest"))
        .where(Metric.name == "val_dice", *of_runs)
        .group_by(Metric.run_id)
    ).subquery()
    # Counted backwards from the last epoch, so that the line ends at the current value.
    step = grouped.c.last // SPARKLINE_POINTS + 1
    thinned = (
        select(Metric.run_id, Metric.value, grouped.c.highest)
        .join(grouped, grouped.c.run_id == Metric.run_id)
        .where(Metric.name == "val_dice", (grouped.c.last - Metric.epoch) % step == 0)
        .order_by(Metric.run_id, Metric.epoch)
    )
    curves: dict[str, list[float]] = {}
    highest: dict[str, float] = {}
    for run_id, value, best in session.execute(thinned):
        curves.setdefault(run_id, []).append(value)
        highest[run_id] = best
    return {
        run_id: (epochs, highest.get(run_id), tuple(curves.get(run_id, ()))) for run_id, epochs in session.execute(last)
    }


def _scores_by_run(session: Session) -> dict[str, tuple[float | None, float | None]]:
    """Return {run: mean Dice vs truth and agreement with the pseudo-label of its own validation predictions}."""
    query = (
        select(Run.id, func.avg(Prediction.truth_dice), func.avg(Prediction.label_dice))
        .join(PredictionSet, (PredictionSet.run_id == Run.id) & (PredictionSet.dataset_id == Run.dataset_id))
        .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)
        .where(Prediction.split == "validation")
        .group_by(Run.id)
    )
    return {run_id: (truth, label) for run_id, truth, label in session.execute(query)}


def arranged(rows: Iterable[RunRow], chosen: Filter, sort: Sort) -> list[RunRow]:
    """Return the rows that match a filter, in order; pinned ones always come first."""
    kept = sorted((row for row in rows if chosen.keeps(row)), key=_ORDERS[sort])
    return sorted(kept, key=lambda row: not row.pinned)


def _highest_first(value: float | None) -> tuple[bool, float]:
    return value is None, -(value or 0.0)


_ORDERS: dict[Sort, Callable[[RunRow], Any]] = {
    "Newest first": lambda row: -row.created_at.timestamp(),
    "Oldest first": lambda row: row.created_at.timestamp(),
    "Name": lambda row: row.name.casefold(),
    "Best Dice vs truth": lambda row: _highest_first(row.dice_vs_truth),
    "Best agreement": lambda row: _highest_first(row.agreement),
    "Longest training": lambda row: _highest_first(row.seconds),
    "Status": lambda row: row.status,
}


def as_csv(rows: Sequence[RunRow]) -> str:
    """Return rows as CSV, in their order. Cells that a spreadsheet would run as a formula are escaped."""
    header = ["run", "status", "epochs_done", "epochs_asked", "best_epoch"]
    header += [
        "validation_dice_vs_truth",
        "validation_agreement_with_pseudo_label",
        "validation_soft_dice_of_best_epoch",
        "pretrained_weights",
    ]
    header += ["taught_by", "dataset", "preset", "tags", "pinned", "archived"]
    header += ["training_seconds", "parameters", "created", "note"]
    table = [
        [
            *(row.name, row.status, row.epochs_done, row.epochs_total, row.best_epoch),
            *(row.dice_vs_truth, row.agreement, row.soft_dice, row.weights or "none"),
            *(row.trained_on, row.dataset, row.preset, ", ".join(row.tags), row.pinned, row.archived),
            *(row.seconds, row.parameter_count, row.created_at.isoformat(timespec="seconds"), row.note),
        ]
        for row in rows
    ]
    return exports.as_csv(header, table)
