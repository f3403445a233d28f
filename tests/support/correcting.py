"""Corrections for tests, stored as the browser's routes and the command line store them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from db import corrections, datasets
from db.models import Dataset
from engine.datasets.corrections import Drawn, store
from engine.imaging.corrections import UNTOUCHED
from tests.support.installation import Installation


def correct(
    installation: Installation, dataset: Dataset, drawn: Mapping[str, np.ndarray], finished: bool = True
) -> None:
    """Store corrections, {image id: uint8 (H, W)}, over what the images have."""
    with installation.database.reading() as session:
        images = [image for image in datasets.images(session, dataset.id) if image.id in drawn]
    given = [Drawn(image, drawn[image.id], image.correction_revision, "drawn", finished) for image in images]
    store(installation.files, corrections.committing(installation.database.writing), given)


def strokes(value: int, side_px: int = 64, width_px: int = 8) -> np.ndarray:
    """Return a correction, uint8 (side_px, side_px), of one stroke along the upper edge."""
    values = np.full((side_px, side_px), UNTOUCHED, np.uint8)
    values[:width_px] = value
    return values
