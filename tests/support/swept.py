"""Sweeps as workers leave them: rows of trials with scores, without the work behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from db import jobs, sweeps
from db.columns import utc_now
from db.models import Dataset, Job, JobStatus, Sweep, SweepKind, SweepState, TrialState
from engine.core.run_config import config_from
from engine.labelling.base import find_method
from engine.sweeps import space as spaces
from engine.work.sweeps import settings_of
from tests.support.installation import Installation


def add_mask_sweep(
    installation: Installation,
    dataset: Dataset,
    scores: Sequence[float | None] = (),
    *,
    state: SweepState = SweepState.FINISHED,
    **values: Any,
) -> Sweep:
    """Store a sweep of the method threshold; a trial without a score has failed. Offsets are -40, -30, …"""
    model = find_method("threshold").params
    space = [spaces.dimension(model, text) for text in ("offset=-40..40", "foreground=darker,lighter")]
    tried = [
        {"offset": min(-40 + 10 * number, 100), "foreground": ("darker", "lighter")[number % 2]}
        for number, _ in enumerate(scores)
    ]
    base = {"method": "threshold", "params": model().model_dump(mode="json"), "seed": 0}
    defaults = {"name": "offsets", "kind": SweepKind.MASKS, "base": base, "space": spaces.to_json(space)}
    return _add(installation, dataset, tried, scores, state, defaults | values)


def add_run_sweep(
    installation: Installation,
    dataset: Dataset,
    scores: Sequence[float | None] = (),
    *,
    state: SweepState = SweepState.FINISHED,
    **values: Any,
) -> Sweep:
    """Store a sweep of runs; a trial without a score has failed. Learning rates are 0.001, 0.002, …"""
    space = [
        spaces.Dimension("training.learning_rate", 1e-3, 1e-1, log=True),
        spaces.Dimension("training.loss", choices=("dice", "bce_dice")),
    ]
    tried = [
        {"training.learning_rate": 0.001 * (number + 1), "training.loss": ("dice", "bce_dice")[number % 2]}
        for number, _ in enumerate(scores)
    ]
    base = {"preset": "fast", "config": config_from("fast", {}).model_dump(mode="json")}
    defaults = {"name": "rates", "kind": SweepKind.RUNS, "base": base, "space": spaces.to_json(space)}
    return _add(installation, dataset, tried, scores, state, defaults | values)


def _add(
    installation: Installation,
    dataset: Dataset,
    tried: Sequence[dict[str, Any]],
    scores: Sequence[float | None],
    state: SweepState,
    values: dict[str, Any],
) -> Sweep:
    shape = {
        "sampler": "random",
        "objective": "truth",
        "prune": False,
        "trials": max(len(scores), 1),
        "code_version": "test",
    }
    with installation.database.writing() as session:
        sweep = sweeps.create(session, Sweep(dataset_id=dataset.id, **(shape | values)))
        for own, score in zip(tried, scores, strict=True):
            trial = sweeps.add_trial(session, sweep, own, settings_of(sweep, own), "test")
            trial.state, trial.score = (TrialState.FAILED, None) if score is None else (TrialState.COMPLETE, score)
            trial.error, trial.ended_at = ("The disk is full." if score is None else ""), utc_now()
            job = session.get_one(Job, trial.job_id)
            jobs.request_stop(session, job.id)
            job.status = JobStatus.FAILED if score is None else JobStatus.FINISHED
        sweep.state = state
    return sweep
