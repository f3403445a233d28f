"""The numbers of a run, epoch by epoch, under names that say what they were measured against."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db import runs
from engine.training.run_details import DICE_NAME, IOU_NAME, Reference


def metric_names(reference: Reference) -> dict[str, str]:
    """Return {stored metric: words for it}, in the order of the per-epoch table."""
    dice, iou = DICE_NAME[reference], IOU_NAME[reference]
    return {
        "loss": "Loss, training",
        "val_loss": "Loss, validation",
        "dice": f"{dice}, training",
        "val_dice": f"{dice}, validation",
        "iou": f"{iou}, training",
        "val_iou": f"{iou}, validation",
        "learning_rate": "Learning rate",
    }


@dataclass
class MetricHistory:
    """The metrics of one run as fetched so far, so that a look asks the database only for newer epochs.

    Many visitors may read one history: what `by_epoch` held when it was taken never changes.
    """

    attempt: int = -1
    by_epoch: dict[int, dict[str, float]] = field(default_factory=dict)

    def fetch(self, session: Session, run_id: str, attempt: int, epochs_done: int) -> None:
        """Bring the history up to `epochs_done`. A resumed run forgets and repeats epochs, so it is read anew."""
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
        """Return (epochs, values) of one metric where it is known."""
        known = [(epoch, values[name]) for epoch, values in sorted(self.by_epoch.items()) if name in values]
        return [epoch for epoch, _ in known], [value for _, value in known]

    def table(self, names: dict[str, str]) -> list[dict[str, float | int | None]]:
        """Return one line for each epoch, newest first, under the words of `names`."""
        return [
            {"Epoch": epoch, **{words: values.get(name) for name, words in names.items()}}
            for epoch, values in sorted(self.by_epoch.items(), reverse=True)
        ]
