"""What an open page asks of a run that trains, again and again: one small answer, the same for every page."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from dashboard.facts import wording
from dashboard.facts.run_metrics import DICE_NAME, Reference
from dashboard.views.runs.facts import LiveStatus
from engine.work.progress_words import progress_count, progress_words


@dataclass(frozen=True)
class Snapshot:
    """A moment of a run.

    When `stage` is another than a page was drawn with, its script has to draw it anew. When only `version` is another,
    an epoch has ended, and what that changes can be fetched. `share` in [0, 1] is how far the work at hand is; None
    where no work goes on. `soon` is whether an epoch may end at any moment, so that it is worth asking more often.
    """

    stage: str
    version: str
    soon: bool
    share: float | None
    text: str
    elapsed: str


def snapshot(status: LiveStatus) -> Snapshot:
    """Return what changes between two epochs of a run: the bar, the words at it, and the time it has taken."""
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
    """Return what only a script can draw: another state or round, the first epoch, or what is told of the network."""
    told = zlib.crc32(f"{status.parameter_count} {status.hardware} {status.weights}".encode())
    return f"{status.state}/{status.attempt}/{status.epochs_done > 0}/{status.rounds_done}/{told:x}"


def version(status: LiveStatus) -> str:
    """Return what a page goes out of date with: another stage, another epoch or another best one."""
    return f"{stage(status)}/{status.epochs_done}/{status.best_epoch}"


@dataclass(frozen=True)
class Number:
    """One of the few numbers that matter; `note` stands below it, `help` explains it."""

    label: str
    value: str
    note: str = ""
    help: str = ""


def numbers(reference: Reference, status: LiveStatus) -> tuple[Number, ...]:
    """Return the numbers at the head of a run, each with what it was measured against."""
    best = f", best epoch ({status.best_epoch})" if status.best_epoch else ""
    found = [Number("Epochs", f"{status.epochs_done} / {status.epochs_total}")]
    if status.rounds_total > 1:
        rounds = f"{status.rounds_done} / {status.rounds_total}"
        found.append(Number("Rounds", rounds, help="Of self-training, finished."))
    # What the network began from stands beside every score: it did not learn all of it here.
    score = wording.score(status.best_val_dice)
    found.append(Number(f"{DICE_NAME[reference]}, validation{best}", score, status.weights))
    return tuple(found)


def parameters(status: LiveStatus) -> tuple[Number, ...]:
    """Return how many numbers the network learns, once that is known."""
    if not status.parameter_count:
        return ()
    millions = status.parameter_count / 1e6
    return (Number("Parameters", f"{millions:.1f} M" if millions >= 0.1 else f"{status.parameter_count:,}"),)


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
