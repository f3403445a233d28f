"""Training pairs as the network will see them, for the preview of the Train page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from dashboard.facts.train import Teacher
from db import datasets, recipes
from db.models import Dataset, Image
from engine.core.run_config import RunConfig
from engine.imaging import class_maps, codec
from engine.network import augmentation as augment
from engine.store import keys as stored
from engine.store.base import Store

PREVIEW_PX = 256


@dataclass(frozen=True)
class Pair:
    """The keys of an image and its mask. `lookup` maps truth values to classes; empty for a pseudo-label."""

    name: str
    image_key: str
    mask_key: str
    lookup: tuple[int, ...]


def preview_pairs(session: Session, dataset_id: str, teacher: Teacher, count: int) -> tuple[Pair, ...]:
    """Return up to `count` images that have a mask of the teacher, spread over the dataset."""
    dataset = session.get_one(Dataset, dataset_id)
    everything = datasets.images(session, dataset_id)
    labelled: list[Image]
    if teacher.label_set_id is None:
        labelled = [image for image in everything if image.has_truth]
    else:
        known = recipes.labelled_images(session, teacher.label_set_id)
        known -= recipes.left_aside(session, teacher.label_set_id)
        labelled = [image for image in everything if image.id in known]
    count = min(count, len(labelled))
    chosen = [labelled[(2 * i + 1) * len(labelled) // (2 * count)] for i in range(count)]
    return tuple(_pair(dataset, image, teacher) for image in chosen)


def read_pair(files: Store, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Return image uint8 (H, W, 3) and foreground probability uint8 (H, W), in their original sizes, for framing.

    Where truth has several classes the second is (H, W, 2), with the class of each pixel.
    """
    image = codec.decode_png(files.read(pair.image_key))
    mask = codec.decode_png(files.read(pair.mask_key))
    if pair.lookup:
        truth = class_maps.reference(mask, pair.lookup)
        mask = truth.foreground.astype(np.uint8) * 255
        if truth.classes is not None:
            mask = np.dstack([mask, truth.classes])
    return image, mask


def augmented(
    image: np.ndarray, mask: np.ndarray, config: RunConfig, count: int, draw: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the unchanged pair, then `count` augmented squares of it, at most PREVIEW_PX wide.

    `draw` is the seed.
    """
    shape = codec.fit_longest_side(image.shape[:2], PREVIEW_PX)
    whole = codec.resize_image(image, shape), augment.resized_target(mask, shape)
    size = config.model.image_size
    squares = augment.preview(image, mask, config.data, config.augmentation, size, PREVIEW_PX, count, seed=draw)
    return [whole, *squares]


def _pair(dataset: Dataset, image: Image, teacher: Teacher) -> Pair:
    image_key = stored.image_key(dataset.id, image.id)
    if teacher.label_set_id is None:
        return Pair(image.name, image_key, stored.truth_key(dataset.id, image.id), tuple(dataset.lookup))
    return Pair(image.name, image_key, stored.label_key(teacher.label_set_id, image.id), ())
