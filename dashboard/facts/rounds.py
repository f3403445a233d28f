"""Data of self-training rounds: the labels of a round (the teacher) and the masks of its network (the student).

Whether a round is accepted is decided without truth; scores against truth are only shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from dashboard.facts import urls
from db import rounds
from db.models import Round, Run


@dataclass(frozen=True)
class Comparison:
    """One measure of both sides in [0, 1]; None where it is unknown."""

    name: str
    teacher: float | None
    student: float | None
    by_truth: bool = False

    @property
    def gain(self) -> float | None:
        """The student's value minus the teacher's."""
        return None if self.teacher is None or self.student is None else self.student - self.teacher


@dataclass(frozen=True)
class RoundView:
    """One finished round. `comparisons` holds the quality, and Dice and IoU vs truth where there is truth."""

    number: int
    first_epoch: int
    last_epoch: int
    accepted: bool
    reason: str
    images: int
    left_out: int
    comparisons: tuple[Comparison, ...]

    @property
    def has_truth(self) -> bool:
        return any(comparison.by_truth for comparison in self.comparisons)


def round_views(session: Session, run_id: str) -> tuple[RoundView, ...]:
    """Return the finished rounds of a run in order; none for a run trained on truth."""
    several = bool(session.get_one(Run, run_id).classes)
    return tuple(_view(row, several) for row in rounds.rounds(session, run_id))


def _view(row: Round, several: bool) -> RoundView:
    of = "Foreground " if several else ""
    pairs = (
        ("Mask plausibility", row.labels_quality, row.masks_quality, False),
        (f"{of}Dice vs truth", row.labels_truth_dice, row.masks_truth_dice, True),
        (f"{of}IoU vs truth", row.labels_truth_iou, row.masks_truth_iou, True),
    )
    known = [pair for pair in pairs if pair[1] is not None or pair[2] is not None]
    return RoundView(
        number=row.number,
        first_epoch=row.first_epoch,
        last_epoch=row.last_epoch,
        accepted=row.accepted,
        reason=row.reason,
        images=row.images,
        left_out=row.left_out,
        comparisons=tuple(Comparison(*pair) for pair in known),
    )


def rounds_total(run: Run) -> int:
    """Return the number of rounds in a run's settings; training on truth has one."""
    return int(run.config.get("self_training", {}).get("rounds", 1)) if run.label_set_id else 1


def round_starts(views: tuple[RoundView, ...], epochs_done: int, total: int) -> dict[int, str]:
    """Return {first epoch: label} of every started round after the first, including the current one."""
    starts = {view.first_epoch: f"round {view.number}" for view in views if view.number > 1}
    if views and views[-1].number < total and epochs_done > views[-1].last_epoch:
        starts[views[-1].last_epoch + 1] = f"round {views[-1].number + 1}"
    return starts


def teacher_url(run_id: str, label_set_id: str | None, number: int, image_id: str, size: int | None = None) -> str:
    """Return the URL of a label that a round was trained on: in the first round that of the mask set."""
    if number == 1 and label_set_id:
        return urls.label(label_set_id, image_id, size)
    return urls.round_label(run_id, number, image_id, size)


def teacher_classes_url(
    run_id: str, label_set_id: str | None, number: int, image_id: str, size: int | None = None
) -> str:
    """Return the URL of the classes of such a label, of a run that tells several apart."""
    if number == 1 and label_set_id:
        return urls.label_classes(label_set_id, image_id, size)
    return urls.round_label_classes(run_id, number, image_id, size)
