"""What open pages poll of a training run: one small answer, the same for every page."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from dashboard.facts import wording
from dashboard.facts.run_metrics import DICE_NAME
from dashboard.views.runs.facts import LiveStatus, RunHead
from engine.training.run_details import mean_note
from engine.work.progress_words import progress_count, progress_words


@dataclass(frozen=True)
class Snapshot:
    """A moment of a run.

    If `stage` differs from the one a page was drawn with, its script has to run again. If only `version` differs, an
    epoch has ended and its news can be fetched. `share` in [0, 1] is how much of the work is done, None where nothing
    is being done. `soon` is whether an epoch may end at any moment, so that polling more often pays off.
    """

    stage: str
    version: str
    soon: bool
    share: float | None
    text: str
    elapsed: str


def snapshot(status: LiveStatus) -> Snapshot:
    """Return what changes between two epochs of a run: the bar, its text, and the elapsed time."""
    at_work = status.state in ("running", "stopping")
    return Snapshot(
        stage=stage(status),
        version=version(status),
        soon=at_work and _epoch_ends_soon(status),
        share=_share(status) if at_work else None,
        text=_words(status) if at_work else "",
        elapsed=wording.duration(status.seconds) if at_work and status.seconds is not None else "",
    )


def stage(status: LiveStatus) -> str:
    """Return a key of what only a script can draw: state, attempt, round, first epoch and facts of the network."""
    network = zlib.crc32(f"{status.parameter_count} {status.hardware} {status.weights}".encode())
    return f"{status.state}/{status.attempt}/{status.epochs_done > 0}/{status.rounds_done}/{network:x}"


def version(status: LiveStatus) -> str:
    """Return a key that changes with the stage, the epoch or the best epoch."""
    return f"{stage(status)}/{status.epochs_done}/{status.best_epoch}"


@dataclass(frozen=True)
class Number:
    """One of the main numbers of a run; `note` is shown below it, `help` explains it."""

    label: str
    value: str
    note: str = ""
    help: str = ""


def numbers(head: RunHead, status: LiveStatus) -> tuple[Number, ...]:
    """Return the main numbers of a run; the score names its reference and any pretrained weights."""
    best = f", best epoch ({status.best_epoch})" if status.best_epoch else ""
    result = [Number("Epochs done", f"{status.epochs_done} of {status.epochs_total}")]
    if status.rounds_total > 1:
        rounds = f"{status.rounds_done} of {status.rounds_total}"
        result.append(Number("Rounds done", rounds, help="Rounds of self-training."))
    score = wording.score(status.best_val_dice)
    note = " · ".join(filter(None, (mean_note(head.classes), status.weights)))
    result.append(Number(f"{DICE_NAME[head.reference]}, validation{best}", score, note, status.weights_origin))
    return tuple(result)


def _epoch_ends_soon(status: LiveStatus) -> bool:
    """Return whether the epoch at hand is nearly through its images, or validates: then the next begins at 0."""
    done, total = status.progress.done, status.progress.total
    if not total or not status.epochs_total:
        return False
    through = done * status.epochs_total / total % 1
    return through < 0.02 or through > 0.85


def _share(status: LiveStatus) -> float:
    done, total = status.progress.done, status.progress.total
    return min(max(done / total, 0.0), 1.0) if total else 0.0


def _words(status: LiveStatus) -> str:
    """Return epoch, batch and speed as the worker reports them, and the time left."""
    parts = [progress_words(status.progress) or "Starting", progress_count(status.progress)]
    if status.left_s is not None:
        parts.append(f"about {wording.duration(status.left_s)} left")
    return " · ".join(filter(None, parts))
