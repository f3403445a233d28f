"""How alike two networks' masks of the same images are: told from the stored pictures, once, as they are asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import numpy as np
import streamlit as st

from dashboard.server import resources
from db import predictions
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.store.base import MissingFile, Store

PIXELS = 250_000
"""Of a larger picture every second, third … pixel is compared: the third decimal of a Dice needs no more."""


class MaskPair:
    """Dice between the masks of two sets, for the images of the first in its table's order.

    `curves` is float32 (N, 101), one column for each of `engine.imaging.metrics.THRESHOLDS`; not a number before a row
    is filled, and for good where one of the two masks is missing.
    """

    def __init__(self, files: Store, first_id: str, second_id: str, image_ids: tuple[str, ...]) -> None:
        self._files, self._sets, self._image_ids = files, (first_id, second_id), image_ids
        self._filled = np.zeros(len(image_ids), bool)
        self.curves = np.full((len(image_ids), len(metrics.THRESHOLDS)), np.nan, np.float32)

    @property
    def filled(self) -> int:
        """How many images have been looked at."""
        return int(self._filled.sum())

    @property
    def complete(self) -> bool:
        return bool(self._filled.all())

    def fill(self, rows: Iterable[int] | None = None, budget_s: float = math.inf) -> None:
        """Compare the images of these rows (of all where None), as many as `budget_s` seconds allow."""
        give_up = time.monotonic() + budget_s
        for row in np.flatnonzero(~self._filled) if rows is None else rows:
            if time.monotonic() > give_up:
                return
            if not self._filled[row]:
                self.curves[row] = self._curve(self._image_ids[row])
                self._filled[row] = True

    def _curve(self, image_id: str) -> np.ndarray | float:
        try:
            first, second = (
                codec.decode_png(self._files.read(stored.prediction_key(set_id, image_id))) for set_id in self._sets
            )
        except (MissingFile, codec.UnreadableImage):
            return math.nan
        step = max(1, math.isqrt(first.size // PIXELS))
        return metrics.agreement_curve(first[::step, ::step], second[::step, ::step])


def mask_pair(first_id: str, second_id: str, image_ids: tuple[str, ...]) -> MaskPair:
    """Return the comparison of two sets of predictions, shared by all visitors for as long as both stay the same."""
    with resources.database().reading() as session:
        stamps = predictions.stamp(session, first_id), predictions.stamp(session, second_id)
    return _pair(first_id, second_id, stamps, image_ids)


@st.cache_resource(max_entries=8, show_spinner=False)
def _pair(first_id: str, second_id: str, stamps: tuple[str, str], _image_ids: tuple[str, ...]) -> MaskPair:
    return MaskPair(resources.artifacts(), first_id, second_id, _image_ids)
