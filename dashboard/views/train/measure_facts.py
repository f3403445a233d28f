"""The measurement that the Train page shows: the newest with these settings, else the newest with others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from dashboard.facts import wording
from dashboard.facts.jobs import JobView, job_view
from db import jobs
from db.models import Job
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import RunConfig, differences
from engine.core.run_config_text import titles
from engine.training.workload import Workload

FEWEST_RATES = 3

What = Literal["trial", "rate_range"]
_BOTH = (
    "model.",
    "data.framing",
    "data.tile_scale",
    "augmentation.",
    "training.batch_size",
    "training.loss",
    "training.optimizer",
    "training.clip_norm",
    "training.precision",
)
RELEVANT: dict[What, tuple[str, ...]] = {
    "trial": (*_BOTH, "training.ema"),
    "rate_range": (
        *_BOTH,
        "data.",
        "training.tversky_alpha",
        "training.confidence_weights",
        "training.ignore_band",
        "training.weight_decay",
    ),
}
"""The settings that change a result: how long a step takes, or at which rates the network learns. The number of steps
needs no measurement."""


@dataclass(frozen=True)
class Measured:
    """The measurement to show, if any: `result` as its job returned it, `stale` names the settings that have changed.

    `job` is one that is queued or running, or that failed with the current settings.
    """

    job: JobView | None
    result: dict[str, Any] | None
    created_at: datetime | None
    stale: str


def measurement(
    session: Session,
    what: What,
    dataset_id: str,
    label_set_id: str | None,
    config: RunConfig,
    now: datetime,
    lost_after_s: float,
) -> Measured:
    """Return the newest trial, or the newest learning-rate range test on a dataset and mask set (None for truth).

    A trial belongs to the dataset alone: the mask set does not change its speed.
    """
    found = jobs.measurements(session, dataset_id, what)
    if what == "rate_range":
        found = [job for job in found if job.payload.get("label_set") == label_set_id]
    at_work = next((job for job in found if not job.status.ended), None)
    changes = {job.id: _changes(job, config, RELEVANT[what]) for job in found}
    fresh = next((job for job in found if changes[job.id] == []), None)
    failed = fresh if fresh and fresh.status == "failed" else None
    done = [job for job in found if changes[job.id] is not None and job.status.ended and _usable(what, job.result)]
    # Exactly these settings, however long ago, are worth more than newer ones with other settings.
    chosen = next((job for job in done if not changes[job.id]), done[0] if done else None)
    return Measured(
        job=job_view(at_work or failed, now, lost_after_s),
        result=chosen.result if chosen else None,
        created_at=chosen.finished_at if chosen else None,
        stale=_stale_sentence(changes[chosen.id] or []) if chosen else "",
    )


def trial_sentence(result: dict[str, Any], work: Workload) -> str:
    """Return what a trial means for a run: the duration of one epoch and of all."""
    speed = result["step_s"], result["validation_step_s"]
    epoch_s = work.seconds_per_epoch(*speed)
    in_all_s = work.seconds_in_all(*speed, result["start_s"])
    rounds = f"{work.rounds} rounds of " if work.rounds > 1 else ""
    epochs = "The one epoch" if work.epochs == 1 and work.rounds == 1 else f"All {rounds}{work.epochs:,} epochs"
    return (
        f"An epoch takes about **{wording.duration(max(epoch_s, 1))}** on this machine. {epochs} take at most "
        f"**{wording.duration(max(in_all_s, 1))}**; early stopping may end it sooner."
    )


def trial_details(result: dict[str, Any], created_at: datetime | None, now: datetime) -> str:
    """Return how a trial was measured."""
    device = ", ".join(result["devices"])
    gpu = result["device_peak_bytes"]
    memory = f"{wording.size(result['peak_bytes'])} of memory" + (f" and {wording.size(gpu)} on the GPU" if gpu else "")
    return (
        f"Measured {wording.ago(created_at, now)} on {wording.count(result['steps'], 'batch', 'batches')} of "
        f"{wording.count(result['batch_size'], 'image')}: {result['images_per_s']:.1f} images/s, "
        f"{memory} at most, {result['precision'].replace('_', ' ')} on {device}."
    )


def rate_sentence(result: dict[str, Any]) -> str:
    """Return what a range test suggests."""
    if result["suggestion"] is None:
        return "The loss fell at none of these rates, so none is suggested. Check what the network is trained on."
    return (
        f"The loss falls fastest near a learning rate of **{rate_text(result['suggestion'])}**. Much smaller rates "
        "learn slowly; where the curve turns up, steps are too long."
    )


def rate_text(rate: float) -> str:
    """Return 0.0003 as "3e-4"."""
    digits, _, exponent = f"{rate:.0e}".partition("e")
    return f"{digits}e{int(exponent)}"


def _usable(what: What, result: dict[str, Any] | None) -> bool:
    if not result:
        return False
    return "epoch_s" in result if what == "trial" else len(result.get("rates", ())) >= FEWEST_RATES


def _changes(job: Job, now: RunConfig, relevant: tuple[str, ...]) -> list[tuple[str, Any]] | None:
    """Return (title, value then) of each relevant setting that has changed since; None if it cannot be parsed."""
    try:
        before = parse(RunConfig, job.payload["config"])
    except ParameterError:
        return None
    changed = differences(before, now)
    if max(before.model.classes, 1) == max(now.model.classes, 1):  # without truth of several, 0 classes are 1
        changed = [change for change in changed if change[0] != "model.classes"]
    return [(titles(path)[1], then) for path, then, _ in changed if path.startswith(relevant)]


def _stale_sentence(changes: list[tuple[str, Any]]) -> str:
    if not changes:
        return ""
    parts = [f"{title} {then:g}" if isinstance(then, float) else f"{title} {then}" for title, then in changes[:3]]
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    return f"This was measured with other settings: {wording.escaped(', '.join(parts))}{more}."
