"""A dataset of small real photographs for tests, where they lie beside this checkout."""

from __future__ import annotations

import cv2
import numpy as np

from db.models import Dataset
from tests.support.installation import Installation, add_dataset, add_discs
from tests.support.shared_data import SHARED_DATA

COUNT, SIDE_PX = 12, 160


def add_photographs(installation: Installation, count: int = COUNT) -> Dataset:
    """Store small real photographs with their truth; drawn discs where there are none beside this checkout."""
    source = SHARED_DATA / "ecssd"
    if not source.is_dir():
        return add_discs(installation, count, "photographs", size_px=SIDE_PX)
    paths = sorted((source / "images").glob("*.jpg"))
    pairs = []
    for path in paths[:: len(paths) // count][:count]:
        image = cv2.resize(cv2.imread(str(path))[..., ::-1], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        truth = cv2.imread(str(source / "truth" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        truth = cv2.resize(truth, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_NEAREST)
        pairs.append((np.ascontiguousarray(image), truth > 127))
    return add_dataset(installation, "photographs", pairs, "disc {}.png")
