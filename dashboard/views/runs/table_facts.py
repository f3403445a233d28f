"""The table of all runs: one light row each, which of them are shown, and in which order.

Best Dice of a run measures it against what taught it. Where that was a label set it is agreement with the pseudo-label
and has a column of its own; a score against truth then comes from the stored predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import job_view
from dashboard.server import exports
from dashboard.views.runs.facts import seconds_trained
from db.models import Dataset, Job, LabelSet, Metric, Prediction, PredictionSet, Run
from engine.training.run_details import encoder_weights

SPARKLINE_POINTS = 30
"""A sparkline is some 80 px wide: more points would only be sent."""

LISTED_RUNS = 200

Sort = Literal[
    "Newest first", "Oldest first", "Name", "Best Dice vs truth", "Best agreement", "Longest training", "Status"
]
SORTS: tuple[Sort, ...] = get_args(Sort)
Archived = Literal["Hidden", "Shown too", "Shown alone"]
ARCHIVED: tuple[Archived, ...] = get_args(Archived)


@dataclass(frozen=True)
class RunRow:
    """One line of the table. `dice_vs_truth` and `agreement` are of validation images; either may be unknown.

    `weights` names what a run's encoder had learned from before, if anything. `val_dice` is thinned to about
    `SPARKLINE_POINTS` epochs, the last one among them.
    """

    id: str
    name: str
    dataset: str
    taught_by: str
    preset: str
    status: str
    epochs_done: int
    epochs_total: int
    best_epoch: int | None
    dice_vs_truth: float | None
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
    """Which runs are shown; empty means all. `text` is looked for in name, dataset, what taught, tags and note."""

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
        read = "\n".join((row.name, row.dataset, row.taught_by, *row.tags, row.note)).casefold()
        return (self.archived == "Shown too" or row.archived == (self.archived == "Shown alone")) and (
            (not self.statuses or row.status in self.statuses)
            and (not self.datasets or row.dataset in self.datasets)
            and (not self.tags or not set(self.tags).isdisjoint(row.tags))
            and all(word in read for word in self.text.casefold().split())
        )


@dataclass(frozen=True)
class Learned:
    """What the metrics say of a run: its last epoch, its highest validation Dice, and that Dice thinned."""

    last_epoch: int = 0
    highest: float | None = None
    val_dice: tuple[float, ...] = ()


Kept = dict[str, tuple[object, Learned]]
"""What was read of ended runs, by their id, with a stamp that changes when a run goes on. Pages share it."""


def run_rows(session: Session, now: datetime, lost_after_s: float, kept: Kept | None = None) -> tuple[RunRow, ...]:
    """Return all runs, newest first. Reads columns, not objects, and neither settings nor metrics as a whole.

    Args:
        kept: grows; the metrics of the runs in it are not read again until those runs go on.
    """
    found = session.execute(_columns().order_by(Run.created_at.desc(), Run.id)).all()
    jobs = {row.id: row for row in session.execute(_job_columns())}
    learned = _learned(session, {run.id: _stamp(run, jobs.get(run.job_id)) for run in found}, kept)
    truth = _truth_dice_by_run(session)
    return tuple(
        _row(run, jobs.get(run.job_id), learned.get(run.id, Learned()), truth.get(run.id), now, lost_after_s)
        for run in found
    )


def _columns() -> Any:
    training, self_training = Run.config["training"], Run.config["self_training"]
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
            training["epochs"].as_integer().label("epochs"),
            self_training["rounds"].as_integer().label("rounds"),
            Run.details["weights"].as_string().label("weights"),
            Dataset.name.label("dataset"),
            LabelSet.name.label("label_set"),
        )
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(LabelSet, LabelSet.id == Run.label_set_id)
    )


def _job_columns() -> Any:
    """Return the query of what `job_view` looks at, of the jobs that train runs."""
    return select(
        Job.id,
        Job.status,
        Job.attempt,
        Job.stop_requested,
        Job.started_at,
        Job.finished_at,
        Job.heartbeat_at,
        Job.progress_done,
        Job.progress_total,
        Job.progress_unit,
        Job.progress_phase,
        Job.progress_rate,
        Job.progress_details,
        Job.error,
    ).where(Job.id.in_(select(Run.job_id)))


def _row(
    run: Row[Any], job: Row[Any] | None, learned: Learned, truth: float | None, now: datetime, lost_after_s: float
) -> RunRow:
    view = job_view(job, now, lost_after_s)
    by_truth = run.label_set_id is None
    best = run.best_val_dice if run.best_val_dice is not None else learned.highest
    return RunRow(
        id=run.id,
        name=run.name,
        dataset=run.dataset,
        taught_by="truth" if by_truth else run.label_set,
        preset=run.preset,
        status=view.status if view else "stopped",
        epochs_done=learned.last_epoch,
        epochs_total=(run.epochs or 0) * (1 if by_truth else run.rounds or 1),
        best_epoch=run.best_epoch,
        dice_vs_truth=best if by_truth else truth,
        agreement=None if by_truth else best,
        weights=encoder_weights({"weights": run.weights}),
        seconds=seconds_trained(run, view),
        parameter_count=run.parameter_count,
        created_at=run.created_at,
        val_dice=learned.val_dice,
        tags=tuple(run.tags),
        note=run.note,
        pinned=run.pinned,
        archived=run.archived,
    )


def _stamp(run: Row[Any], job: Row[Any] | None) -> object:
    """Return what changes when an ended run has learned more; None while it may learn at any moment."""
    if job is not None and not job.status.ended:
        return None
    return (job.id, job.attempt, job.finished_at) if job else (run.best_epoch, run.train_seconds)


def _learned(session: Session, stamps: dict[str, object], kept: Kept | None) -> dict[str, Learned]:
    """Return {run: what its metrics say}, read for the runs alone that `kept` does not know as they are now."""
    known = {
        run_id: kept[run_id][1]
        for run_id, stamp in stamps.items()
        if kept is not None and stamp is not None and run_id in kept and kept[run_id][0] == stamp
    }
    for gone in (kept or {}).keys() - stamps.keys():
        kept.pop(gone, None)
    missing = [run_id for run_id in stamps if run_id not in known]
    if not missing:
        return known
    # A long list of ids costs more than reading all runs from the index, and databases limit its length.
    read = _read_metrics(session, missing if len(missing) <= LISTED_RUNS else None)
    if kept is not None:
        kept.update({run_id: (stamps[run_id], read.get(run_id, Learned())) for run_id in missing})
    return {**read, **known}


def _read_metrics(session: Session, run_ids: Sequence[str] | None) -> dict[str, Learned]:
    """Return {run: what its metrics say} of these runs, or of all. Answered from one index."""
    of_runs = [] if run_ids is None else [Metric.run_id.in_(run_ids)]
    # Every epoch has a training loss; the epochs are not counted from validation, which comes after it.
    last = select(Metric.run_id, func.max(Metric.epoch)).where(Metric.name == "loss", *of_runs).group_by(Metric.run_id)
    grouped = (
        select(Metric.run_id, func.max(Metric.epoch).label("last"), func.max(Metric.value).label("highest"))
        .where(Metric.name == "val_dice", *of_runs)
        .group_by(Metric.run_id)
    ).subquery()
    # Counted from the last epoch backwards, so that the line ends where the run stands.
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
        run_id: Learned(epochs, highest.get(run_id), tuple(curves.get(run_id, ())))
        for run_id, epochs in session.execute(last)
    }


def _truth_dice_by_run(session: Session) -> dict[str, float]:
    """Return {run: mean Dice against truth of its own validation predictions} of the runs that have one."""
    query = (
        select(Run.id, func.avg(Prediction.truth_dice))
        .join(PredictionSet, (PredictionSet.run_id == Run.id) & (PredictionSet.dataset_id == Run.dataset_id))
        .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)
        .where(Prediction.split == "validation", Run.label_set_id.is_not(None))
        .group_by(Run.id)
    )
    return {run_id: value for run_id, value in session.execute(query) if value is not None}


def arranged(rows: Iterable[RunRow], chosen: Filter, sort: Sort) -> list[RunRow]:
    """Return the rows that a filter keeps, in order; pinned ones come first whatever the order."""
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
    """Return rows as CSV, in their order. A cell that a spreadsheet would run as a formula is plain text."""
    header = ["run", "status", "epochs_done", "epochs_asked", "best_epoch"]
    header += ["validation_dice_vs_truth", "validation_agreement_with_pseudo_label", "encoder_weights"]
    header += ["taught_by", "dataset", "preset", "tags", "pinned", "archived"]
    header += ["training_seconds", "parameters", "created", "note"]
    table = [
        [
            *(row.name, row.status, row.epochs_done, row.epochs_total, row.best_epoch),
            *(row.dice_vs_truth, row.agreement, row.weights or "none"),
            *(row.taught_by, row.dataset, row.preset, ", ".join(row.tags), row.pinned, row.archived),
            *(row.seconds, row.parameter_count, row.created_at.isoformat(timespec="seconds"), row.note),
        ]
        for row in rows
    ]
    return exports.as_csv(header, table)
