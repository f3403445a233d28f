"""What the Runs page shows of one run, live while it trains and summarised once it has ended.

Dice and IoU of a run are measured against what it was trained on. For a mask set they are agreement with the
pseudo-label and are always called that; scores against truth then come from the stored predictions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dashboard.facts import wording
from dashboard.facts.class_results import class_results
from dashboard.facts.jobs import JobView, job_view, waiting_words
from dashboard.facts.rounds import RoundView, round_views, rounds_total
from dashboard.facts.run_metrics import MetricHistory, Reference
from dashboard.views.runs.curve_facts import CurveFacts, History, curve_facts
from dashboard.views.runs.image_facts import ImageFacts, image_facts, validation_masks
from db import rounds, runs, sweeps
from db.jobs import Progress
from db.models import Dataset, Job, LabelSet, Metric, Round, Run, RunImage
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import DEFAULT_PRESET, PRESETS, RunConfig
from engine.core.run_config_text import ConfigRow, config_rows
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.imaging.class_confusion import ClassConfusion
from engine.training.memory_advice import memory_advice
from engine.training.run_details import class_names, hardware_line, weights_note, weights_origin

NO_MODEL = "There is no model yet: resume it to get one."


@dataclass(frozen=True)
class Probe:
    """A probe image of a run. Its reference is what the run was trained on; `aspect` is width over height."""

    image_id: str
    name: str
    split: str
    has_reference: bool
    aspect: float


@dataclass(frozen=True)
class RunHead:
    """What stays the same while a run trains. `classes` are the names, background first; () for foreground alone.

    `class_colours` are theirs, `changed_classes` says how they differ from those of the dataset now, and
    `truth_in_classes` whether truth has them, as for `runs.truth_in_classes`. `sweep_id`: the run is a trial of it.
    """

    id: str
    name: str
    job_id: str | None
    dataset_id: str
    dataset: str
    truth_version: int
    label_set_id: str | None
    trained_on: str
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
    classes: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    changed_classes: str = ""
    truth_in_classes: runs.TruthClasses | None = None
    sweep_id: str | None = None

    @property
    def changed(self) -> tuple[ConfigRow, ...]:
        """The parameters that differ from the preset."""
        return tuple(row for row in self.config if row.preset_value is not None)

    @property
    def known_preset(self) -> str:
        """The preset, or the default one if this version no longer has it."""
        return self.preset if self.preset in PRESETS else DEFAULT_PRESET


@dataclass(frozen=True)
class LiveStatus:
    """What changes while a run trains, read with one small query."""

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
    notes: tuple[str, ...] = ()
    """What was doubtful about its masks when it started."""
    weights_origin: str = ""
    """The file of its pretrained weights, for a tooltip."""
    final: bool = False
    """Whether trying again cannot help."""
    label_share: float = 0.0
    """The share of the labels in the masks of its images."""

    @property
    def live(self) -> bool:
        """Whether the status can change without user action."""
        return self.state in ("queued", "running", "stopping", "lost")

    @property
    def can_stop(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def can_resume(self) -> bool:
        return self.state == "stopped"

    @property
    def can_retry(self) -> bool:
        return self.state == "failed" and not self.final

    @property
    def can_delete(self) -> bool:
        return self.state in ("finished", "stopped", "failed")

    @property
    def has_model(self) -> bool:
        return self.best_epoch is not None

    @property
    def stage(self) -> tuple[str, bool, int]:
        """What the parts of the page that are not live depend on."""
        return self.state, self.epochs_done > 0, self.rounds_done


def run_head(session: Session, run_id: str | None) -> RunHead | None:
    """Return the constant facts of a run, or None if it does not exist."""
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
        trained_on=f"mask set {label_set.name!r}" if label_set else "truth",
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
        classes=class_names(run.classes),
        class_colours=tuple(class_colours(with_present_colours(run.classes, dataset.classes))),
        changed_classes=runs.changed_classes(run, dataset),
        truth_in_classes=runs.truth_in_classes(session, run, dataset),
        sweep_id=sweeps.of_run(session, run.id),
    )


def live_status(session: Session, run_id: str, now: datetime, lost_after_s: float) -> LiveStatus | None:
    """Return the current status of a run, or None if it was deleted."""
    last = select(func.max(Metric.epoch)).where(Metric.run_id == run_id).scalar_subquery()
    ended_rounds = select(func.count()).where(Round.run_id == run_id).scalar_subquery()
    row = session.execute(
        select(Run, Job, last, ended_rounds).outerjoin(Job, Job.id == Run.job_id).where(Run.id == run_id)
    ).one_or_none()
    if row is None:
        return None
    run, job, epochs_done, rounds_done = row
    view = job_view(job, now, lost_after_s)
    state = view.status if view else "stopped"
    return LiveStatus(
        state=state,
        progress=view.progress if view else Progress(),
        seconds=seconds_trained(run, view),
        left_s=view.left_s if view and state in ("running", "stopping") else None,
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
        final=bool(view and view.final),
        sentence=(
            f"{waiting_words(session, view.needs)} It starts automatically, even if this page is closed."
            if view and state == "queued"
            else _sentence(run, job, state, now, epochs_done or 0)
        ),
        notes=tuple(run.details.get("notes") or ()),
        weights_origin=weights_origin(run.details),
        label_share=rounds.label_share(run),
    )


def own_prediction_set_id(session: Session, run_id: str) -> str | None:
    """Return the id of a run's predictions on its own dataset, or None while it has none."""
    run = session.get(Run, run_id)
    own = runs.own_prediction_set(session, run) if run else None
    return own.id if own is not None and runs.prediction_count(session, own.id) else None


def _epochs_total(run: Run) -> int:
    """Return the planned epochs of all rounds; early stopping may end a round, and the run, earlier."""
    return int(run.config.get("training", {}).get("epochs", 0)) * rounds_total(run)


def _keeps_last(run: Run) -> bool:
    """Return whether a run can resume where it was interrupted."""
    return bool(run.config.get("checkpoint", {}).get("save_last", True))


def seconds_trained(run: Run | Row[Any], view: JobView | None) -> float | None:
    """Return how long a run has trained: the time stored when it last ended plus that of the current attempt."""
    if view is None or view.status == "queued":
        return run.train_seconds
    if run.train_seconds is None or view.elapsed_s is None:
        return run.train_seconds or view.elapsed_s
    # `ended_reason` is empty from the first batch until training ends; `train_seconds` then includes this attempt.
    training = view.at_work and not run.ended_reason
    return run.train_seconds + view.elapsed_s if training else run.train_seconds


def _sentence(run: Run, job: Job | None, state: str, now: datetime, epochs_done: int) -> str:
    """Return why a run ended or what became of its worker, as a sentence; empty while it trains or is queued."""
    kept = "The model of the best epoch is kept." if run.best_epoch is not None else NO_MODEL
    if state == "stopping":
        return "Stopping at the next safe point. What it has learned so far is kept."
    if state == "lost" and job is not None and job.heartbeat_at is not None:
        silent = wording.duration((now - job.heartbeat_at).total_seconds())
        return (
            f"Its worker has not reported for {silent}: the process died, or the machine slept or was restarted. "
            f"{_recovery(run, epochs_done)} If it dies again, it probably ran out of memory: duplicate the run with "
            f"{memory_advice(run.config)}."
        )
    if state == "failed":
        return (job.error if job else None) or run.ended_reason or "It failed without an error message; see the log."
    if state == "stopped":
        of = f"{epochs_done} of {wording.count(_epochs_total(run), 'epoch')}"
        when = f"after {of}" if epochs_done else "before its first epoch had finished"
        return (job.error if job else None) or run.ended_reason or f"Stopped by a person {when}. {kept}"
    if state == "finished":
        return run.ended_reason or f"Finished after {wording.count(epochs_done, 'epoch')}. {kept}"
    return ""


def _recovery(run: Run, epochs_done: int) -> str:
    if not epochs_done:
        return "No epoch had finished. Put it back into the queue to start again."
    if not _keeps_last(run):
        return "It does not keep its last epoch: back in the queue, it starts again with the first."
    done = wording.count(epochs_done, "epoch")
    return f"Its finished epochs ({done}) are safe. Put it back into the queue to resume from there."


@dataclass(frozen=True)
class RunFacts:
    """What the summary of a run is computed from. `config` is None where this version cannot parse it.

    `curves` are those of the network that was kept: of the round with the best epoch, or else of the last.
    `agreement` and `truth_dice` are means over the validation masks at threshold 0.5, `classes` their confusion.
    """

    head: RunHead
    status: LiveStatus
    config: RunConfig | None
    curves: CurveFacts | None
    images: ImageFacts | None
    agreement: float | None
    truth_dice: float | None
    rounds: tuple[RoundView, ...]
    classes: ClassConfusion | None = None

    @property
    def nothing_to_find(self) -> bool:
        """Whether soft Dice is 1 though no mask marks anything; with any foreground in a target it is below 0.7."""
        marks_nothing = self.images is not None and self.images.overlap.precision is None
        return self.status.best_val_dice == 1 and marks_nothing


def run_facts(session: Session, run_id: str, now: datetime, lost_after_s: float) -> RunFacts | None:
    """Return all facts of a run, or None if it was deleted."""
    run, head = session.get(Run, run_id), run_head(session, run_id)
    status = live_status(session, run_id, now, lost_after_s)
    if run is None or head is None or status is None:
        return None
    try:
        config = parse(RunConfig, run.config)
    except ParameterError:
        config = None
    history = MetricHistory()
    history.fetch(session, run_id, 0, status.epochs_done)
    rounds = round_views(session, run_id)
    own = runs.own_prediction_set(session, run) if run.classes else None
    classes = class_results(session, own.id) if own else None
    masks, scores = validation_masks(session, run), runs.validation_scores(session, run)
    return RunFacts(
        head=head,
        status=status,
        config=config,
        curves=kept_curves(history.by_epoch, config, rounds, run.best_epoch, head.train_images),
        images=image_facts(masks) if masks else None,
        agreement=scores.label_dice if scores else None,
        truth_dice=scores.truth_dice if scores else None,
        rounds=rounds,
        classes=classes.validation.confusion if classes and classes.validation.images else None,
    )


def kept_curves(
    history: History, config: RunConfig | None, rounds: tuple[RoundView, ...], best_epoch: int | None, train_images: int
) -> CurveFacts | None:
    """Return the curve facts of one network, since each round of self-training starts with a fresh one."""
    if not history:
        return None
    first, last = 1, max(history)
    for view in rounds:
        if best_epoch is None or view.first_epoch <= best_epoch:
            first, last = view.first_epoch, view.last_epoch
    if rounds and best_epoch is not None and best_epoch > rounds[-1].last_epoch:  # in a round that has not ended
        first, last = rounds[-1].last_epoch + 1, max(history)
    steps = 0
    if config is not None and config.data.framing in ("pad", "stretch"):
        steps = math.ceil(train_images / config.training.batch_size)
    return curve_facts({epoch: history[epoch] for epoch in history if first <= epoch <= last}, config, steps)
