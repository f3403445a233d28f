"""What is stored of a finished round of self-training, with scores against truth where there is any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.imaging import codec, metrics
from engine.imaging.left_out import NOTHING, LeftOut
from engine.store import keys as stored
from engine.store.base import MissingFile, Store

if TYPE_CHECKING:
    from db.models import Image, Run
    from engine.training.self_training import Round

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


def round_values(
    files: Store,
    run: Run,
    images: Sequence[Image],
    lookup: Sequence[int],
    finished: Round,
    left_out: LeftOut = NOTHING,
) -> dict[str, Any]:
    """Return the columns of a round (see `db.models.Round`). Its scores against truth do not influence the training.

    Args:
        images: those of the run's dataset.
        lookup: the class of each truth value, (256,); empty where there is no truth.
    """
    number = finished.number

    def label_key(image_id: str) -> str:
        if number == 1 and run.label_set_id:
            return stored.label_key(run.label_set_id, image_id)
        return stored.round_label_key(run.id, number, image_id)

    def mask_key(image_id: str) -> str:
        return stored.round_mask_key(run.id, number, image_id)

    values = {name: getattr(finished, name) for name in _STORED}
    with_truth = [image for image in images if image.has_truth] if len(lookup) else []
    for side, key_of in (("labels", label_key), ("masks", mask_key)):
        dice, iou = _truth_scores(files, with_truth, lookup, key_of, left_out)
        values |= {f"{side}_truth_dice": dice, f"{side}_truth_iou": iou}
    return values


def _truth_scores(
    files: Store, images: Sequence[Image], lookup: Sequence[int], key_of: Callable[[str], str], left_out: LeftOut
) -> tuple[float | None, float | None]:
    """Return mean Dice and IoU at threshold 0.5 of the stored probabilities, or None where there is no truth."""
    scores = []
    for image in images:
        try:
            probabilities = codec.decode_png(files.read(key_of(image.id)))
        except MissingFile:
            continue
        values = codec.decode_png(files.read(stored.truth_key(image.dataset_id, image.id)))
        mask, truth = left_out.reference(values, lookup).beside(metrics.to_mask(probabilities, 0.5))
        scores.append((metrics.dice(mask, truth), metrics.iou(mask, truth)))
    if not scores:
        return None, None
    dice, iou = np.mean(scores, axis=0)
    return float(dice), float(iou)
