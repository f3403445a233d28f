"""The images of a dataset in the order in which they should be corrected, from their stored masks."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from engine.imaging.codec import decode_image, decode_png
from engine.prediction import correct_next
from engine.prediction.correct_next import Candidate, Suggestion
from engine.store import keys as stored
from engine.store.base import Store

if TYPE_CHECKING:
    from db.correction_queue import Masks, QueueRows
    from db.models import Image


def correction_queue(files: Store, rows: QueueRows, masks: Masks) -> list[Suggestion]:
    """Return the open images in the order in which they should be corrected.

    Raises:
        MissingFile: a mask or a thumbnail is gone.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        candidates = list(pool.map(lambda image: _candidate(files, rows, masks, image), rows.open))
        known = list(pool.map(lambda image: _appearance(files, image), rows.corrected))
    return correct_next.suggestions(candidates, known)


def _candidate(files: Store, rows: QueueRows, masks: Masks, image: Image) -> Candidate:
    label = levels = None
    if masks.label_set_id and image.id in rows.labelled:
        label = decode_png(files.read(stored.label_key(masks.label_set_id, image.id)))
    if masks.prediction_set_id:
        levels = decode_png(files.read(stored.prediction_key(masks.prediction_set_id, image.id)))
    if levels is not None and label is not None:
        doubtful, reason = correct_next.disagreement(levels, label), "network and label disagree"
    elif levels is not None:
        doubtful, reason = correct_next.ambiguity(levels), "the network is undecided"
    else:
        doubtful, reason = correct_next.ambiguity(_there(label)), "the mask looks doubtful"
    doubt, place = correct_next.doubtful_spot(doubtful, (image.height, image.width))
    if levels is None and (quality := rows.quality.get(image.id)) is not None:
        doubt = 1 - quality
    return Candidate(image.id, _appearance(files, image), doubt, reason, place)


def _there(label: np.ndarray | None) -> np.ndarray:
    assert label is not None  # open images have a mask
    return label


def _appearance(files: Store, image: Image) -> np.ndarray:
    return correct_next.appearance(decode_image(files.read(stored.thumb_key(image.dataset_id, image.id))))
