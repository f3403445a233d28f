"""Storing what people draw on images: first the file, then the row that names it, refused if someone was faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db import corrections as rows
from db.models import Correction, Image, new_id
from engine.imaging import corrections
from engine.imaging.codec import decode_png, encode_png
from engine.store import keys as stored
from engine.store.base import Store

Transaction = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Drawn:
    """A correction to store, uint8 (H, W), checked (`engine.imaging.corrections.checked`).

    `base` is the revision that it began from; the other fields are those of `db.models.Correction`.
    """

    image: Image
    values: np.ndarray
    base: int
    source: str
    finished: bool
    mask_dice: float | None = None
    mask_of: str = ""


def store(files: Store, writing: Transaction, drawn: Sequence[Drawn]) -> list[Correction]:
    """Store corrections of images of one dataset, all of them or none.

    Raises:
        StaleCorrection: an image was corrected or deleted meanwhile; nothing was overwritten.
    """
    ids = [new_id() for _ in drawn]
    keys = [stored.correction_key(each.image.dataset_id, id_) for each, id_ in zip(drawn, ids, strict=True)]
    try:
        for key, each in zip(keys, drawn, strict=True):
            files.write(key, encode_png(each.values))
        with writing() as session:
            added = [
                rows.add(session, each.image, each.base, _values(id_, each))
                for id_, each in zip(ids, drawn, strict=True)
            ]
            if added:
                rows.record(session, added[0].dataset_id, added)
    except (rows.StaleCorrection, OSError):  # nothing was committed; after a kill the check-up finds such files
        for key in keys:
            files.delete(key)
        raise
    return added


def _values(id_: str, drawn: Drawn) -> dict[str, Any]:
    return {
        "id": id_,
        "file_id": id_,
        "source": drawn.source,
        "finished": drawn.finished,
        "pixels": corrections.counted(drawn.values),
        "mask_dice": drawn.mask_dice,
        "mask_of": drawn.mask_of,
    }


def withdraw(session: Session, image: Image, base: int) -> Correction:
    """Take back the newest correction of an image, by a revision that shows what was there before it.

    Raises:
        StaleCorrection: the image was corrected or deleted meanwhile.
        ValueError: there is nothing to take back.
    """
    shown = rows.current(session, image.dataset_id, [image.id]).get(image.id)
    if shown is None:
        raise ValueError(f"The image {image.name!r} has no correction to withdraw.")
    earlier = rows.before(session, shown)
    values = {"source": "withdrawn", "finished": bool(earlier and earlier.finished)}
    if earlier is not None:
        values |= {"file_id": earlier.file_id, "pixels": earlier.pixels}
    added = rows.add(session, image, base, values)
    rows.record(session, image.dataset_id, [added])
    return added


def read(files: Store, correction: Correction) -> np.ndarray:
    """Return what a correction that is not empty shows, uint8 (H, W).

    Raises:
        MissingFile: its file is gone.
        UnreadableImage: its file is damaged.
    """
    return decode_png(files.read(stored.correction_key(correction.dataset_id, correction.file_id)))


def merged(files: Store, before: Mapping[str, Correction], image: Image, given: np.ndarray) -> np.ndarray:
    """Return `given` over what the image has already, if `before`, {image id: correction}, names it."""
    there = before.get(image.id)
    return corrections.merged(read(files, there) if there else None, given)
