"""What the Runs page shows of one run, live while it trains.

Dice and IoU of a run measure it against what taught it. Where that was a label set they are agreement with the
pseudo-label, and nothing here calls them anything else; scores against truth then come from the stored predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dashboard.facts import wording
from dashboard.facts.jobs import JobView, job_view
from dashboard.facts.rounds import rounds_total
from dashboard.facts.run_metrics import Reference
from db import runs
from db.jobs import Progress
from db.models import Dataset, Job, LabelSet, Metric, Round, Run, RunImage
from engine.core.run_config_text import ConfigRow, config_rows
from engine.training.memory_advice import memory_advice
from engine.training.run_details import hardware_line, weights_note

NO_MODEL = "There is no model yet: resume it to get one."


@dataclass(frozen=True)
class Scores:
    """Means over a run's own validation images, from its stored predictions at threshold 0.5."""

    images: int
    truth_dice: float | None
    truth_images: int
    agreement: float | None


@dataclass(frozen=True)
class Probe:
    """A probe image of a run. Its reference is what taught the run; `aspect` is width over height."""

    image_id: str
    name: str
    split: str
    has_reference: bool
    aspect: float


@dataclass(frozen=True)
class RunHead:
    """What stays the same while a run trains."""

    id: str
    name: str
    job_id: str | None
    dataset_id: str
    dataset: str
    truth_version: int
    label_set_id: str | None
    taught_by: str
    reference: Reference
    preset: str
    created_at: datetime
    code_version: str
    epochs_total: int
    keeps_last: bool
    config: tuple[ConfigRow, ...]
    train_images: int
    validation_images: int
    probes: tuple[Probe, ...]

    @property
    def changed(self) -> tuple[ConfigRow, ...]:
        """The parameters that are not its preset's."""
        return tuple(row for row in self.config if row.preset_value is not None)


@dataclass(frozen=True)
class LiveStatus:
    """What changes while a run trains: one small query."""

    state: str
    progress: Progress
    seconds: float | None
    left_s: float | None
    epochs_done: int
    epochs_total: int
    best_epoch: int | None
    best_val_dice: float | None
    parameter_count: int | None
    rounds_done: int
    rounds_total: int
    hardware: str
    weights: str
    attempt: int
    sentence: str

    @property
    def live(self) -> bool:
        """Whether it is worth asking again soon."""
        return self.state in ("queued", "running", "stopping", "lost")

    @property
    def can_stop(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def can_resume(self) -> bool:
        return self.state == "stopped"

    @property
    def can_retry(self) -> bool:
        return self.state == "failed"

    @property
    def can_delete(self) -> bool:
        return self.state in ("finished", "stopped", "failed")

    @property
    def has_model(self) -> bool:
        return self.best_epoch is not None

    @property
    def stage(self) -> tuple[str, bool, int]:
        """What the parts of the page that are not live depend on: when it changes, they are out of date."""
        return self.state, self.epochs_done > 0, self.rounds_done


def run_head(session: Session, run_id: str | None) -> RunHead | None:
    """Return what stays the same of a run, or None if there is no such run."""
    run = session.get(Run, run_id) if run_id else None
    if run is None:
        return None
    dataset = session.get_one(Dataset, run.dataset_id)
    label_set = session.get(LabelSet, run.label_set_id) if run.label_set_id else None
    split = dict(
        session.execute(
            select(RunImage.split, func.count()).where(RunImage.run_id == run.id).group_by(RunImage.split)
        ).all()
    )
    return RunHead(
        id=run.id,
        name=run.name,
        job_id=run.job_id,
        dataset_id=dataset.id,
        dataset=dataset.name,
        truth_version=dataset.truth_version,
        label_set_id=run.label_set_id,
        taught_by=f"label set {label_set.name!r}" if label_set else "truth",
        reference="pseudo-label" if run.label_set_id else "truth",
        preset=run.preset,
        created_at=run.created_at,
        code_version=run.code_version,
        epochs_total=_epochs_total(run),
        keeps_last=_keeps_last(run),
        config=config_rows(run.config, run.preset),
        train_images=split.get("train", 0),
        validation_images=split.get("validation", 0),
        probes=tuple(
            Probe(image.id, image.name, side, bool(run.label_set_id) or image.has_truth, image.width / image.height)
            for image, side in runs.probe_images(session, run.id)
        ),
    )


def live_status(session: Session, run_id: str, now: datetime, lost_after_s: float) -> LiveStatus | None:
    """Return how a run stands, or None if it is gone."""
    last = select(func.max(Metric.epoch)).where(Metric.run_id == run_id).scalar_subquery()
    ended_rounds = select(func.count()).where(Round.run_id == run_id).scalar_subquery()
    found = session.execute(
        select(Run, Job, last, ended_rounds).outerjoin(Job, Job.id == Run.job_id).where(Run.id == run_id)
    ).one_or_none()
    if found is None:
        return None
    run, job, epochs_done, rounds_done = found
    view = job_view(job, now, lost_after_s)
    state = _state(view)
    return LiveStatus(
        state=state,
        progress=view.progress if view else Progress(),
        seconds=seconds_trained(run, view),
        left_s=_left_s(view),
        epochs_done=epochs_done or 0,
        epochs_total=_epochs_total(run),
        best_epoch=run.best_epoch,
        best_val_dice=run.best_val_dice,
        parameter_count=run.parameter_count,
        rounds_done=rounds_done,
        rounds_total=rounds_total(run),
        hardware=hardware_line(run.details),
        weights=weights_note(run.details),
        attempt=job.attempt if job else 0,
        sentence=_sentence(run, job, state, now, epochs_done or 0),
    )


def scores(session: Session, run_id: str) -> Scores | None:
    """Return how a run's stored predictions of its own validation images score, or None if there are none yet."""
    run = session.get(Run, run_id)
    found = runs.validation_scores(session, run) if run else None
    return Scores(found.images, found.truth_dice, found.truth_images, found.label_dice) if found else None


def own_prediction_set_id(session: Session, run_id: str) -> str | None:
    """Return the id of a run's predictions on the dataset that taught it, once there are any."""
    run = session.get(Run, run_id)
    found = runs.own_prediction_set(session, run) if run else None
    return found.id if found is not None and runs.prediction_count(session, found.id) else None


def _epochs_total(run: Run) -> int:
    """Return the epochs of all rounds: early stopping may end a round, and the run, before them."""
    return int(run.config.get("training", {}).get("epochs", 0)) * rounds_total(run)


def _keeps_last(run: Run) -> bool:
    """Return whether a run can go on where it was interrupted."""
    return bool(run.config.get("checkpoint", {}).get("save_last", True))


def _state(view: JobView | None) -> str:
    return view.status if view else "stopped"


def seconds_trained(run: Run | Row[Any], view: JobView | None) -> float | None:
    """Return how long a run has trained: what it stored at its last end, and the time its job has taken since."""
    if view is None or view.status == "queued":
        return run.train_seconds
    if run.train_seconds is None or view.elapsed_s is None:
        return run.train_seconds or view.elapsed_s
    # From the first batch until the training ends there is no reason why it ended; then it has counted this attempt too
    training = view.at_work and not run.ended_reason
    return run.train_seconds + view.elapsed_s if training else run.train_seconds


def _left_s(view: JobView | None) -> float | None:
    if view is None or view.status not in ("running", "stopping"):
        return None
    return view.left_s


def _sentence(run: Run, job: Job | None, state: str, now: datetime, epochs_done: int) -> str:
    """Return why a run ended, or what it is waiting for, in a sentence; empty while it simply trains."""
    kept = "The model of the best epoch is kept." if run.best_epoch is not None else NO_MODEL
    if state == "queued":
        return "Waits for a free worker. It starts by itself, also when this page is closed."
    if state == "stopping":
        return "Stops at the next safe point and keeps what it has learned."
    if state == "lost" and job is not None and job.heartbeat_at is not None:
        silent = wording.duration((now - job.heartbeat_at).total_seconds())
        return (
            f"Its worker has been silent for {silent}: the process died, or the machine slept or was restarted. "
            f"{_safe(run, epochs_done)} If it dies again, memory has probably run out: then duplicate it with "
            f"{memory_advice(run.config)}."
        )
    if state == "failed":
        return (job.error if job else None) or run.ended_reason or "It failed without saying why; see the log."
    if state == "stopped":
        when = f"after {wording.count(epochs_done, 'epoch')}" if epochs_done else "before its first epoch was finished"
        return (job.error if job else None) or run.ended_reason or f"Stopped by a person {when}. {kept}"
    if state == "finished":
        return run.ended_reason or f"Finished after {wording.count(epochs_done, 'epoch')}. {kept}"
    return ""


def _safe(run: Run, epochs_done: int) -> str:
    if not epochs_done:
        return "It had not finished an epoch. Put it back into the queue to begin again."
    if not _keeps_last(run):
        return "It does not keep its last epoch: back in the queue, it begins with the first again."
    done = wording.count(epochs_done, "epoch")
    return f"What it had finished ({done}) is safe. Put it back into the queue to go on from there."
