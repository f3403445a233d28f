"""What the Train page shows of measurements: the newest that was made with these settings, or the newest at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dashboard.facts import wording
from dashboard.facts.jobs import JobView, job_view
from db import jobs
from db.models import Job
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import RunConfig, differences
from engine.training.workload import Workload

FEWEST_RATES = 3

_PIXELS = ("model.", "data.framing", "data.tile_scale", "augmentation.")
_STEP = ("training.batch_size", "training.loss", "training.optimizer", "training.clip_norm", "training.precision")
TRIAL_COUNTS = (*_PIXELS, *_STEP, "training.ema")
"""What decides how long a step takes. How many steps there are is known without a measurement."""

RATE_COUNTS = (
    *_PIXELS,
    *_STEP,
    "data.",
    "training.tversky_alpha",
    "training.confidence_weights",
    "training.ignore_band",
    "training.weight_decay",
)
"""What decides at which rates the network learns."""


@dataclass(frozen=True)
class Measured:
    """The measurement to show, if any: `result` as its job returned it, `stale` says what has changed since.

    `job` is one that is at work, or that failed with the settings as they are.
    """

    job: JobView | None
    result: dict[str, Any] | None
    made_at: datetime | None
    stale: str


def trial(session: Session, dataset_id: str, config: RunConfig, now: datetime, lost_after_s: float) -> Measured:
    """Return the newest trial on a dataset; who teaches does not matter for its speed."""
    found = jobs.measurements(session, dataset_id, "trial")
    return _newest(found, config, TRIAL_COUNTS, lambda result: "epoch_s" in result, now, lost_after_s)


def rate_range(
    session: Session, dataset_id: str, label_set_id: str | None, config: RunConfig, now: datetime, lost_after_s: float
) -> Measured:
    """Return the newest learning-rate range test on a dataset and its teacher."""
    found = [
        job
        for job in jobs.measurements(session, dataset_id, "rate_range")
        if job.payload.get("label_set") == label_set_id
    ]
    return _newest(
        found, config, RATE_COUNTS, lambda result: len(result.get("rates", ())) >= FEWEST_RATES, now, lost_after_s
    )


def trial_sentence(result: dict[str, Any], work: Workload) -> str:
    """Return what a trial means for a run: minutes of an epoch and of all of them, and how it was measured."""
    speed = result["step_s"], result["validation_step_s"]
    epoch_s = work.seconds_per_epoch(*speed)
    in_all_s = work.seconds_in_all(*speed, result["start_s"])
    rounds = f"{work.rounds} rounds of " if work.rounds > 1 else ""
    epochs = "The one epoch" if work.epochs == 1 and work.rounds == 1 else f"All {rounds}{work.epochs:,} epochs"
    return (
        f"An epoch takes about **{wording.duration(max(epoch_s, 1))}** on this machine. {epochs} take at most "
        f"**{wording.duration(max(in_all_s, 1))}**; early stopping may end it sooner."
    )


def trial_details(result: dict[str, Any], made_at: datetime | None, now: datetime) -> str:
    """Return how a trial came to its numbers."""
    device = ", ".join(result["devices"])
    gpu = result["device_peak_bytes"]
    memory = f"{wording.size(result['peak_bytes'])} of memory" + (f" and {wording.size(gpu)} on the GPU" if gpu else "")
    return (
        f"Measured {wording.ago(made_at, now)} on {wording.count(result['steps'], 'batch', 'batches')} of "
        f"{wording.count(result['batch_size'], 'image')}: {result['images_per_s']:.1f} images/s, "
        f"{memory} at most, {result['precision'].replace('_', ' ')} on {device}."
    )


def rate_sentence(result: dict[str, Any]) -> str:
    """Return what a range test suggests."""
    if result["suggestion"] is None:
        return "The loss fell at none of these rates, so none is suggested. Check what the network learns from."
    return (
        f"The loss falls fastest near a learning rate of **{rate_text(result['suggestion'])}**. Much smaller rates "
        "learn slowly; where the curve turns up, steps are too long."
    )


def rate_text(rate: float) -> str:
    """Return 0.0003 as "3e-4"."""
    digits, _, exponent = f"{rate:.0e}".partition("e")
    return f"{digits}e{int(exponent)}"


def _newest(
    found: Sequence[Job], config: RunConfig, counts: tuple[str, ...], usable, now: datetime, lost_after_s: float
) -> Measured:
    at_work = next((job for job in found if not job.status.ended), None)
    read = [(job, other) for job in found if (other := _config(job)) is not None]
    changes = {job.id: _changes(other, config, counts) for job, other in read}
    fresh = [job for job, _ in read if not changes[job.id]]
    failed = fresh[0] if fresh and fresh[0].status == "failed" else None
    done = [job for job, _ in read if job.status.ended and job.result and usable(job.result)]
    # One with these very settings, however old, says more than a newer one with others
    chosen = next((job for job in done if not changes[job.id]), done[0] if done else None)
    return Measured(
        job=job_view(at_work or failed, now, lost_after_s),
        result=chosen.result if chosen else None,
        made_at=chosen.finished_at if chosen else None,
        stale=_stale_sentence(changes[chosen.id]) if chosen else "",
    )


def _config(job: Job) -> RunConfig | None:
    try:
        return parse(RunConfig, job.payload["config"])
    except ParameterError:
        return None


def _changes(before: RunConfig, now: RunConfig, counts: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Return (title, value then) of each setting that counts and has changed since."""
    found = []
    for path, then, _ in differences(before, now):
        if path.startswith(counts):
            group, _, name = path.rpartition(".")
            found.append((RunConfig.model_fields[group].annotation.model_fields[name].title, then))
    return found


def _stale_sentence(changes: list[tuple[str, Any]]) -> str:
    if not changes:
        return ""
    parts = [f"{title} {then:g}" if isinstance(then, float) else f"{title} {then}" for title, then in changes[:3]]
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    return f"This was measured with other settings: {wording.escaped(', '.join(parts))}{more}."
