"""The masks of a network and of the one that was trained again on more corrections, on the same images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.datasets.corrections import read
from engine.imaging import metrics
from engine.imaging.codec import decode_png
from engine.imaging.corrections import as_reference
from engine.imaging.left_out import NOTHING, LeftOut
from engine.store.base import Store
from engine.store.keys import left_out_key, prediction_key

if TYPE_CHECKING:
    from sqlalchemy import Row

    from db.audit_set import AuditSet
    from db.models import Correction

CHANGED_BELOW = 0.95
"""A mask has changed if its Dice with the other network's mask is lower."""

Reference = Literal["audit", "truth", "labels"]
IN_WORDS: dict[Reference, str] = {
    "audit": "Dice vs audit",
    "truth": "Dice vs truth",
    "labels": "Agreement with the pseudo-label (Dice)",
}


@dataclass(frozen=True)
class Measure:
    """Mean scores of both networks over the same images, none of which either of them was trained on."""

    reference: Reference
    images: int
    old: float
    new: float

    @property
    def decides(self) -> bool:
        """Whether it says which network is better. Labels may be wrong just where people corrected masks."""
        return self.reference != "labels"

    @property
    def prefers_new(self) -> bool:
        """Whether the newer network is the better one; a tie goes to it, because it knows more corrections."""
        return self.new >= self.old


def decisive(found: Sequence[Measure]) -> Measure | None:
    """Return the measure that says which network is better, or None if none of them can."""
    return next((each for each in found if each.decides), None)


def changes(
    files: Store,
    old_set_id: str,
    new_set_id: str,
    image_ids: Sequence[str],
    drawn: Mapping[str, Correction],
    left_out: LeftOut = NOTHING,
) -> dict[str, Any]:
    """Return what became of the masks of these images.

    Args:
        drawn: {image id: correction} of what the newer network was trained on.

    Returns:
        {"images", "changed", "corrected", "old_dice", "new_dice"}: how many images there are, of how many the mask
        changed, how many are corrected, and the mean Dice of both networks against these corrections, where something
        was drawn; None if none of them is.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        masks = pool.map(lambda id_: _masks(files, id_, old_set_id, new_set_id, drawn.get(id_), left_out), image_ids)
        agreements, scores = zip(*masks, strict=True) if image_ids else ((), ())
    known = [score for score in scores if score is not None]
    old, new = np.mean(known, axis=0).tolist() if known else (None, None)
    changed = sum(agreement < CHANGED_BELOW for agreement in agreements)
    return {"images": len(image_ids), "changed": changed, "corrected": len(known), "old_dice": old, "new_dice": new}


def _masks(
    files: Store, image_id: str, old_set_id: str, new_set_id: str, correction: Correction | None, left_out: LeftOut
) -> tuple[float, tuple[float, float] | None]:
    old, new = (_mask(files, set_id, image_id) for set_id in (old_set_id, new_set_id))
    scores = None
    if correction is not None:
        values = read(files, correction, left_out)
        scores = _dice(old, values), _dice(new, values)
    return metrics.dice(old, new), scores


def measures(
    files: Store, old_set_id: str, new_set_id: str, held_out: Sequence[Row[Any]], audit: AuditSet
) -> list[Measure]:
    """Return the scores of both networks, the one that decides which is better first.

    Args:
        held_out: `db.retraining.held_out`.
        audit: that of the dataset, which scores nothing until it is complete.

    Raises:
        MissingFile: a mask or a correction is gone.
    """

    def against_audit(image_id: str) -> tuple[float, float]:
        row = audit.corrections[image_id]
        values = read(files, row, LeftOut(files, left_out_key(row.dataset_id, audit.left_out_id)))
        old, new = (_dice(_mask(files, set_id, image_id), values) for set_id in (old_set_id, new_set_id))
        return old, new

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        audited = list(pool.map(against_audit, [row.image_id for row in held_out if row.image_id in audit.corrections]))
    pairs: dict[Reference, list[tuple[float | None, float | None]]] = {
        "audit": [*audited],
        "truth": [(row.old_truth, row.new_truth) for row in held_out],
        "labels": [(row.old_label, row.new_label) for row in held_out],
    }
    found = []
    for reference, scores in pairs.items():
        known = [each for each in scores if None not in each]
        if known:
            old, new = np.mean(np.array(known, np.float64), axis=0).tolist()
            found.append(Measure(reference, len(known), old, new))
    return found


def _mask(files: Store, prediction_set_id: str, image_id: str) -> np.ndarray:
    return metrics.to_mask(decode_png(files.read(prediction_key(prediction_set_id, image_id))), 0.5)


def _dice(mask: np.ndarray, values: np.ndarray) -> float:
    """Return Dice against a correction, uint8 (H, W), where something was drawn that counts."""
    return metrics.dice(*as_reference(values).beside(mask))
