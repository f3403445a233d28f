"""A dataset of small real photographs for tests, where they lie beside this checkout."""

from __future__ import annotations

import cv2
import numpy as np

from db import datasets
from db.models import Dataset
from engine.imaging import codec
from engine.store import keys as stored
from tests.support.installation import Installation, add_discs
from tests.support.shared_data import SHARED_DATA

COUNT, SIDE_PX = 12, 160


def add_photographs(installation: Installation, count: int = COUNT) -> Dataset:
    """Store small real photographs with their truth; drawn discs where there are none beside this checkout."""
    dataset = add_discs(installation, count, "photographs", size_px=SIDE_PX)  # its rows; the pictures are exchanged
    source = SHARED_DATA / "ecssd"
    if not source.is_dir():
        return dataset
    paths = sorted((source / "images").glob("*.jpg"))
    paths = paths[:: len(paths) // count][:count]
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    for image, path in zip(images, paths, strict=True):
        picture = cv2.resize(cv2.imread(str(path))[..., ::-1], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        truth = cv2.imread(str(source / "truth" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        truth = cv2.resize(truth, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_NEAREST)
        installation.files.write(
            stored.image_key(dataset.id, image.id), codec.encode_png(np.ascontiguousarray(picture))
        )
        installation.files.write(stored.thumb_key(dataset.id, image.id), codec.thumbnail(np.ascontiguousarray(picture)))
        installation.files.write(stored.truth_key(dataset.id, image.id), codec.encode_png(truth))
    return dataset
