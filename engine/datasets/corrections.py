"""Storing what people draw on images, and laying it over labels where these are read.

The file comes first, then the row that names it, which is refused if someone was faster.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.imaging import corrections
from engine.imaging.codec import decode_png, encode_png
from engine.imaging.left_out import NOTHING, LeftOut
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.reading import changed_on_reading

if TYPE_CHECKING:
    from db.models import Correction, Image

Revision = tuple["Image", int, dict[str, Any]]
"""An image, the revision that a correction of it began from, and the columns of the new row."""


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


def store(
    files: Store, commit: Callable[[Sequence[Revision]], list[Correction]], drawn: Sequence[Drawn]
) -> list[Correction]:
    """Store corrections of images of one dataset, all of them or none.

    Args:
        commit: adds the rows in one transaction (`db.corrections.committing`).

    Raises:
        StaleCorrection: an image was corrected or deleted meanwhile; nothing was overwritten.
    """
    ids = [uuid.uuid4().hex for _ in drawn]
    keys = [stored.correction_key(each.image.dataset_id, id_) for each, id_ in zip(drawn, ids, strict=True)]
    try:
        for key, each in zip(keys, drawn, strict=True):
            files.write(key, encode_png(each.values))
        return commit([(each.image, each.base, _values(id_, each)) for id_, each in zip(ids, drawn, strict=True)])
    except (ValueError, OSError):  # nothing was committed; after a kill the check-up finds such files
        for key in keys:
            files.delete(key)
        raise


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


def read(files: Store, correction: Correction, left_out: LeftOut = NOTHING) -> np.ndarray:
    """Return what a correction that is not empty shows, uint8 (H, W); what is left out is to be ignored.

    Raises:
        MissingFile: its file is gone.
        UnreadableImage: its file is damaged.
    """
    return left_out.marked(decode_png(files.read(stored.correction_key(correction.dataset_id, correction.file_id))))


def merged(files: Store, before: Mapping[str, Correction], image: Image, given: np.ndarray) -> np.ndarray:
    """Return `given` over what the image has already, if `before`, {image id: correction}, names it."""
    there = before.get(image.id)
    return corrections.merged(read(files, there) if there else None, given)


def laid_over(files: Store, label_set_id: str, drawn: Mapping[str, Correction]) -> Store:
    """Return a store whose labels of one set are read with `drawn`, {image id: correction}, laid over them.

    Everything else is read as it is, and writing is not changed.
    """
    key_of, classes_key_of = partial(stored.label_key, label_set_id), partial(stored.label_classes_key, label_set_id)
    return laid_over_masks(files, key_of, classes_key_of, drawn)


def laid_over_masks(
    files: Store, key_of: Callable[[str], str], classes_key_of: Callable[[str], str], drawn: Mapping[str, Correction]
) -> Store:
    """Return what `laid_over` does for masks whose keys, by image id, are given."""
    levels = {key_of(image_id): row for image_id, row in drawn.items()}
    classes = {classes_key_of(image_id): row for image_id, row in drawn.items()}

    def corrected(key: str, data: bytes) -> bytes:
        for rows, over in ((levels, corrections.over_levels), (classes, corrections.over_classes)):
            if key in rows:
                return encode_png(over(decode_png(data), read(files, rows[key])))
        return data

    return changed_on_reading(files, corrected)
