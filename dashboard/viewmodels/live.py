"""What an open page asks of a run that trains, again and again: one small answer, the same for every page."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard import wording
from dashboard.viewmodels.runs import LiveStatus


@dataclass(frozen=True)
class Snapshot:
    """A moment of a run. When `version` is another than a page was drawn with, that page is out of date.

    `share` in [0, 1] is how far the work at hand is; None where no work goes on. `soon` is whether an epoch may end at
    any moment, so that it is worth asking more often.
    """

    version: str
    soon: bool
    share: float | None
    text: str
    elapsed: str


def snapshot(status: LiveStatus) -> Snapshot:
    """Return what changes between two epochs of a run: the bar, the words at it, and the time it has taken."""
    at_work = status.state in ("running", "stopping")
    return Snapshot(
        version=version(status),
        soon=at_work and _epoch_ends_soon(status),
        share=_share(status) if at_work else None,
        text=_words(status) if at_work else "",
        elapsed=wording.duration(status.seconds) if at_work and status.seconds is not None else "",
    )


def version(status: LiveStatus) -> str:
    """Return what a page has to be drawn anew for: another state, another epoch or another round."""
    return f"{status.state}/{status.attempt}/{status.epochs_done}/{status.rounds_done}"


def _epoch_ends_soon(status: LiveStatus) -> bool:
    """Return whether the epoch at hand is nearly through its images, or validates: then the next begins at 0."""
    if not status.total or not status.epochs_total:
        return False
    through = status.done * status.epochs_total / status.total % 1
    return through < 0.02 or through > 0.85


def _share(status: LiveStatus) -> float:
    return min(max(status.done / status.total, 0.0), 1.0) if status.total else 0.0


def _words(status: LiveStatus) -> str:
    """Return epoch, batch and speed as the worker reports them, and the time left."""
    parts = [status.text or "Getting ready"]
    if status.total and "images" not in status.text:
        parts.append(f"{status.done:,} of {status.total:,}")
    if status.left_s is not None:
        parts.append(f"about {wording.duration(status.left_s)} left")
    return " · ".join(parts)
