"""The images of a dataset in the order in which they should be corrected, from their stored masks."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from engine.imaging.codec import decode_image, decode_png
from engine.imaging.left_out import LeftOut
from engine.prediction import correct_next
from engine.prediction.correct_next import Candidate, Suggestion
from engine.store import keys as stored
from engine.store.base import Store

if TYPE_CHECKING:
    from db.correction_queue import Masks, QueueRows
    from db.models import Image


class CorrectionQueue:
    """What to correct next of some masks. What was seen of an image is remembered: the next time takes a moment."""

    def __init__(self, files: Store, masks: Masks) -> None:
        self._files, self._masks = files, masks
        self._candidates: dict[str, Candidate] = {}
        self._appearances: dict[str, np.ndarray] = {}

    def suggestions(
        self, rows: QueueRows, most: int | None = None, tell: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Suggestion]:
        """Return the open images in the order in which they should be corrected, or the first `most` of them.

        Args:
            tell: called with the number of images seen, and of all that have to be.

        Raises:
            MissingFile: a mask or a thumbnail is gone.
        """
        unseen = [image for image in rows.open if image.id not in self._candidates]
        there = self._appearances.keys() | {image.id for image in unseen}
        known = [image for image in rows.corrected if image.id not in there]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = chain(pool.map(partial(self._see, rows), unseen), pool.map(self._look, known))
            for count, _ in enumerate(done, 1):
                tell(count, len(unseen) + len(known))
        candidates = [self._candidates[image.id] for image in rows.open]
        return correct_next.suggestions(candidates, [self._appearances[image.id] for image in rows.corrected], most)

    def _see(self, rows: QueueRows, image: Image) -> None:
        self._candidates[image.id] = _candidate(self._files, rows, self._masks, image, self._look(image))

    def _look(self, image: Image) -> np.ndarray:
        found = correct_next.appearance(decode_image(self._files.read(stored.thumb_key(image.dataset_id, image.id))))
        return self._appearances.setdefault(image.id, found)


def _candidate(files: Store, rows: QueueRows, masks: Masks, image: Image, appearance: np.ndarray) -> Candidate:
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
    left_out = LeftOut(files, stored.left_out_key(image.dataset_id, rows.left_out_id))
    doubtful = left_out.cleared(doubtful)  # older masks may have doubts there
    doubt, place = correct_next.doubtful_spot(doubtful, (image.height, image.width))
    if levels is None and (quality := rows.quality.get(image.id)) is not None:
        doubt = 1 - quality
    return Candidate(image.id, appearance, doubt, reason, place)


def _there(label: np.ndarray | None) -> np.ndarray:
    assert label is not None  # open images have a mask
    return label
