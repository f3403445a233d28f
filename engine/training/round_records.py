"""What a training job stores of its rounds of self-training."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.work.context import JobContext


class Rounds:
    """Stores each finished round of a run, with scores against truth where there is any; those decide nothing."""

    def __init__(self, context: JobContext, run: Any) -> None:
        self._context, self._run = context, run
        self._images = context.records.images(run.dataset_id)
        self._lookup = np.asarray(context.records.dataset(run.dataset_id).lookup, np.uint8)

    def finished(self, round_: Any) -> None:
        """Store a round (see `engine.training.self_training.Round`)."""
        number = round_.number
        values = {name: getattr(round_, name) for name in _STORED}
        for side, key in (("labels", self._label_key), ("masks", stored.round_mask_key)):
            dice, iou = self._truth_scores(lambda image_id, key=key: key(self._run.id, number, image_id))
            values |= {f"{side}_truth_dice": dice, f"{side}_truth_iou": iou}
        self._context.records.save_round(self._run.id, number, **values)

    def _label_key(self, run_id: str, number: int, image_id: str) -> str:
        if number == 1:
            return stored.label_key(self._run.label_set_id, image_id)
        return stored.round_label_key(run_id, number, image_id)

    def _truth_scores(self, key: Any) -> tuple[float | None, float | None]:
        """Return mean Dice and IoU at threshold 0.5 of the stored probabilities, or None where there is no truth."""
        found = []
        for image in self._images:
            name = key(image.id)
            if not image.has_truth or not len(self._lookup) or not self._context.artifacts.exists(name):
                continue
            truth = self._lookup[self._read(stored.truth_key(self._run.dataset_id, image.id))] > 0
            mask = metrics.to_mask(self._read(name), 0.5)
            if mask.shape != truth.shape:
                truth = codec.resize_mask(truth, mask.shape)
            found.append((metrics.dice(mask, truth), metrics.iou(mask, truth)))
        if not found:
            return None, None
        dice, iou = np.mean(found, axis=0)
        return float(dice), float(iou)

    def _read(self, key: str) -> np.ndarray:
        return codec.decode_png(self._context.artifacts.read(key))


_STORED = (
    "first_epoch",
    "last_epoch",
    "accepted",
    "reason",
    "images",
    "left_out",
    "agreement",
    "labels_quality",
    "masks_quality",
)
