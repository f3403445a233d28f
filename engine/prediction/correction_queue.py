"""The images of a dataset in the order in which they should be corrected, from their stored masks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db import corrections, datasets, recipes, runs
from db.models import Image
from engine.imaging.codec import decode_image, decode_png
from engine.prediction import correct_next
from engine.prediction.correct_next import Candidate, Suggestion
from engine.store import keys as stored
from engine.store.base import Store


@dataclass(frozen=True)
class Masks:
    """The masks that are to be corrected: a label set's, or a run's predictions, with the label set it learned from."""

    label_set_id: str | None = None
    prediction_set_id: str | None = None


@dataclass(frozen=True)
class QueueRows:
    """What the database says: the images that are open, those that are corrected, and the quality of labels by id."""

    open: Sequence[Image]
    corrected: Sequence[Image]
    labelled: frozenset[str]
    quality: dict[str, float | None]


def queue_rows(session: Session, dataset_id: str, masks: Masks) -> QueueRows:
    """Return the rows of a dataset's queue. Images of its audit are not in it: what is next is not drawn at random."""
    images = datasets.images(session, dataset_id)
    drawn = corrections.current(session, dataset_id)
    labelled = recipes.labelled_images(session, masks.label_set_id) if masks.label_set_id else set()
    quality = recipes.label_quality(session, masks.label_set_id) if masks.label_set_id else {}
    masked = runs.predicted_images(session, masks.prediction_set_id) if masks.prediction_set_id else labelled
    open_ = [
        image
        for image in images
        if image.id in masked and not image.in_audit and not (image.id in drawn and drawn[image.id].finished)
    ]
    return QueueRows(open_, [image for image in images if image.id in drawn], frozenset(labelled), quality)


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
