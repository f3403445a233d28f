"""Images that were corrected, stored the way the brush stores them."""

from __future__ import annotations

import numpy as np

from db import corrections, datasets
from db.models import Correction, Dataset
from engine.datasets import corrections as stored_corrections
from tests.support.installation import Installation
from tests.support.predicted import truth_of


def correct(
    installation: Installation,
    dataset: Dataset,
    name: str,
    values: np.ndarray | None = None,
    *,
    finished: bool = True,
    mask_dice: float | None = None,
    mask_of: str = "",
) -> Correction:
    """Store a correction of the image `name`, uint8 (H, W), by default its truth."""
    with installation.database.reading() as session:
        image = next(image for image in datasets.images(session, dataset.id) if image.name == name)
    given = truth_of(installation, dataset, image.id).astype(np.uint8) if values is None else values
    drawn = stored_corrections.Drawn(image, given, image.correction_revision, "drawn", finished, mask_dice, mask_of)
    return stored_corrections.store(installation.files, corrections.committing(installation.database.writing), [drawn])[
        0
    ]
