"""How many objects the masks of a run have: connected components, as the report of the run counts them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.datasets.left_out import cleared_masks
from engine.exports.run_facts import ImageCount
from engine.exports.sources import RunRows
from engine.imaging import class_maps, codec
from engine.imaging.left_out import LeftOut
from engine.measuring.objects import ObjectParams, find_objects
from engine.store import keys as stored
from engine.store.base import MissingFile, Store


def object_counts(rows: RunRows, files: Store, seen: Callable[[int], None]) -> tuple[ImageCount, ...]:
    """Return the number of objects in each mask that a run predicted of its dataset, in the order of the images.

    Objects are those of `ObjectParams` as they are by default: not split. An image whose mask is gone is left out.

    Args:
        seen: called with the number of masks read; may raise to end the work.
    """
    if not rows.predictions:
        return ()
    set_id, params, classes = rows.predictions[0].prediction_set_id, ObjectParams(), max(len(rows.run.classes) - 1, 1)
    region = LeftOut(files, stored.left_out_key(rows.dataset.id, rows.dataset.left_out_id))
    masks = cleared_masks(files, stored.prediction_folder(set_id), region)
    predicted = {row.image_id for row in rows.predictions}
    counts = []
    for done, image in enumerate((image for image in rows.images if image.id in predicted), start=1):
        shape = (image.height, image.width)
        try:
            levels = codec.decode_png(masks.read(stored.prediction_key(set_id, image.id)))
            likely = (
                class_maps.resize_classes(
                    codec.decode_png(masks.read(stored.prediction_classes_key(set_id, image.id))), shape
                )
                if rows.run.classes
                else None
            )
        except (MissingFile, codec.UnreadableImage):
            continue
        class_map = class_maps.to_classes(codec.resize_image(levels, shape), likely, params.threshold)
        found = np.bincount(find_objects(class_map, params).classes, minlength=classes + 1)[1:]
        counts.append(ImageCount(image.name, int(found.sum()), tuple(found.tolist())))
        seen(done)
    return tuple(counts)
