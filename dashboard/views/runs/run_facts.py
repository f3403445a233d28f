"""All that the story of a run is told from: read once, judged by `curve_facts` and `image_facts`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard.facts.rounds import RoundView, round_views
from dashboard.facts.run_metrics import MetricHistory, Reference
from dashboard.views.runs.curve_facts import CurveFacts, History, curve_facts
from dashboard.views.runs.facts import live_status
from dashboard.views.runs.image_facts import ImageFacts, image_facts, validation_masks
from db import runs
from db.models import Run, RunImage
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import DEFAULT_PRESET, PRESETS, RunConfig


@dataclass(frozen=True)
class RunFacts:
    """One run as far as it has come. `reference` is what taught it, and what `best_val_dice` was measured against.

    `curves` are those of the network that was kept: of the round that holds the best epoch, or else the last.
    `agreement` and `truth_dice` are means over its validation masks. `config` is None where this code cannot read it.
    """

    run_id: str
    dataset_id: str
    label_set_id: str | None
    preset: str
    config: RunConfig | None
    state: str
    reason: str
    reference: Reference
    weights: str
    seconds: float | None
    epochs_done: int
    epochs_total: int
    best_epoch: int | None
    best_val_dice: float | None
    validation_images: int
    curves: CurveFacts | None
    images: ImageFacts | None
    agreement: float | None
    truth_dice: float | None
    rounds: tuple[RoundView, ...]
    rounds_total: int


def run_facts(session: Session, run_id: str, now: datetime, lost_after_s: float) -> RunFacts | None:
    """Return what is known of a run, None if it is gone."""
    run, status = session.get(Run, run_id), live_status(session, run_id, now, lost_after_s)
    if run is None or status is None:
        return None
    history = MetricHistory()
    history.fetch(session, run_id, 0, status.epochs_done)
    rounds, split = round_views(session, run_id), _split(session, run_id)
    config = _config(run)
    masks = validation_masks(session, run)
    scores = runs.validation_scores(session, run)
    return RunFacts(
        run_id=run.id,
        dataset_id=run.dataset_id,
        label_set_id=run.label_set_id,
        preset=run.preset if run.preset in PRESETS else DEFAULT_PRESET,
        config=config,
        state=status.state,
        reason=status.sentence,
        reference="pseudo-label" if run.label_set_id else "truth",
        weights=status.weights,
        seconds=status.seconds,
        epochs_done=status.epochs_done,
        epochs_total=status.epochs_total,
        best_epoch=run.best_epoch,
        best_val_dice=run.best_val_dice,
        validation_images=split.get("validation", 0),
        curves=kept_curves(history.by_epoch, config, rounds, run.best_epoch, split.get("train", 0)),
        images=image_facts(masks) if masks else None,
        agreement=scores.label_dice if scores else None,
        truth_dice=scores.truth_dice if scores else None,
        rounds=rounds,
        rounds_total=status.rounds_total,
    )


def kept_curves(
    history: History, config: RunConfig | None, rounds: tuple[RoundView, ...], best_epoch: int | None, train_images: int
) -> CurveFacts | None:
    """Return what the curves of one network say: each round of self-training begins with a fresh one."""
    if not history:
        return None
    first, last = 1, max(history)
    for view in rounds:
        if best_epoch is None or view.first_epoch <= best_epoch:
            first, last = view.first_epoch, view.last_epoch
    if rounds and best_epoch is not None and best_epoch > rounds[-1].last_epoch:  # in a round that has not ended
        first, last = rounds[-1].last_epoch + 1, max(history)
    one_square = config is not None and config.data.framing in ("pad", "stretch")
    steps = math.ceil(train_images / config.training.batch_size) if one_square else 0
    return curve_facts({epoch: history[epoch] for epoch in history if first <= epoch <= last}, config, steps)


def _config(run: Run) -> RunConfig | None:
    try:
        return parse(RunConfig, run.config)
    except ParameterError:
        return None


def _split(session: Session, run_id: str) -> dict[str, int]:
    query = select(RunImage.split, func.count()).where(RunImage.run_id == run_id).group_by(RunImage.split)
    return dict(session.execute(query).all())
