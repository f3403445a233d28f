"""The metrics of a run by epoch, under names with their reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db import runs
from engine.training.run_details import DICE_NAME, IOU_NAME, Reference

SOFT_DICE: dict[Reference, str] = {reference: name[:1].lower() + name[1:] for reference, name in DICE_NAME.items()}
"""The Dice of an epoch inside a sentence. It is never said in shares of pixels: probabilities are no masks."""


MOST_CLASSES = 20
"""More classes than this have no curve and no column of their own: nobody could tell them apart."""


def metric_names(reference: Reference, classes: Sequence[str] = ()) -> dict[str, str]:
    """Return {stored metric: title}, in the order of the per-epoch table; `classes` has background first."""
    dice, iou = DICE_NAME[reference], IOU_NAME[reference]
    of_classes = {
        f"{side}{metric}_{number}": f"{title} of {name}, {words}"
        for number, name in numbered(classes)
        for metric, title in (("dice", dice), ("iou", iou))
        for side, words in (("", "training"), ("val_", "validation"))
    }
    return {
        "loss": "Loss, training",
        "val_loss": "Loss, validation",
        "dice": f"{dice}, training",
        "val_dice": f"{dice}, validation",
        "iou": f"{iou}, training",
        "val_iou": f"{iou}, validation",
        "learning_rate": "Learning rate",
        **of_classes,
    }


def numbered(classes: Sequence[str]) -> list[tuple[int, str]]:
    """Return (number, name) of the classes after background that are shown one by one."""
    return list(enumerate(classes))[1 : MOST_CLASSES + 1]


@dataclass
class MetricHistory:
    """The metrics of one run fetched so far, so that an update only queries newer epochs.

    Several threads may read one history: `by_epoch` is replaced and never modified.
    """

    attempt: int = -1
    by_epoch: dict[int, dict[str, float]] = field(default_factory=dict)

    def fetch(self, session: Session, run_id: str, attempt: int, epochs_done: int) -> None:
        """Update the history to `epochs_done`. A resumed run repeats epochs, so all its metrics are read again."""
        if attempt != self.attempt or epochs_done < self.last_epoch:
            self.attempt, self.by_epoch = attempt, {}
        if epochs_done == self.last_epoch:
            return
        fresh: dict[int, dict[str, float]] = {}
        for row in runs.metrics(session, run_id, after_epoch=self.last_epoch):
            fresh.setdefault(row.epoch, {})[row.name] = row.value
        self.by_epoch = {**self.by_epoch, **fresh}

    @property
    def last_epoch(self) -> int:
        return max(self.by_epoch, default=0)

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Return (epochs, values) of one metric, for the epochs that have it."""
        known = [(epoch, values[name]) for epoch, values in sorted(self.by_epoch.items()) if name in values]
        return [epoch for epoch, _ in known], [value for _, value in known]

    def table(self, names: dict[str, str]) -> list[dict[str, float | int | None]]:
        """Return one line for each epoch, newest first, with the titles of `names`."""
        return [
            {"Epoch": epoch, **{words: values.get(name) for name, words in names.items()}}
            for epoch, values in sorted(self.by_epoch.items(), reverse=True)
        ]
