"""Storing what is left out of the images of a dataset, finding it, and reading masks without it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.imaging.codec import decode_png, encode_png
from engine.imaging.constant_region import MOST_IMAGES, constant_region
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored
from engine.store.base import Store
from engine.store.reading import changed_on_reading

if TYPE_CHECKING:
    from db.models import Image, LeftOutRegion


def store(
    files: Store,
    commit: Callable[[dict[str, Any]], LeftOutRegion],
    dataset_id: str,
    region: np.ndarray,
    source: str,
) -> LeftOutRegion:
    """Store what to leave out, bool (H, W): the file first, then the row that names it.

    Args:
        commit: adds the row with these values (`db.left_out.add`) in a transaction.

    Raises:
        StaleRegion: somebody changed it meanwhile; nothing was overwritten.
    """
    id_ = uuid.uuid4().hex
    key = stored.left_out_key(dataset_id, id_)
    height, width = region.shape
    values = {"id": id_, "file_id": id_, "source": source, "width": width, "height": height}
    try:
        files.write(key, encode_png(region.astype(np.uint8) * 255))
        return commit(values | {"share": float(region.mean())})
    except (ValueError, OSError):  # nothing was committed; after a kill the check-up finds such files
        files.delete(key)
        raise


def typical_images(images: Sequence[Any]) -> list[Any]:
    """Return the images of the most frequent size, at most MOST_IMAGES, evenly spread over them.

    All that is looked at is `width` and `height`, which rows of only some columns have, too.
    """
    if not images:
        return []
    size, _ = Counter((image.width, image.height) for image in images).most_common(1)[0]
    same = [image for image in images if (image.width, image.height) == size]
    count = min(len(same), MOST_IMAGES)
    return [same[index * len(same) // count] for index in range(count)]


def find(
    files: Store, images: Sequence[Image], seen: Callable[[int, int], None] = lambda done, total: None
) -> np.ndarray | None:
    """Return what is the same in all images of the most frequent size, bool (H, W), or None if nothing is.

    Args:
        seen: called with the number of images read, and of all that are.

    Raises:
        TooFewImages: too few images have one size.
        MissingFile: an image is gone.
    """
    chosen = typical_images(images)

    def pixels() -> Iterator[np.ndarray]:
        for number, image in enumerate(chosen, start=1):
            yield decode_png(files.read(stored.image_key(image.dataset_id, image.id)))
            seen(number, len(chosen))

    return constant_region(pixels())


def cleared_masks(files: Store, folder: str, left_out: LeftOut) -> Store:
    """Return a store whose maps below the folder of a mask set or prediction set are read with 0 in the region."""
    if not left_out:
        return files
    exports = stored.exports_folder(folder)

    def cleared(key: str, data: bytes) -> bytes:
        if not key.startswith(f"{folder}/") or key.startswith(f"{exports}/"):
            return data
        return encode_png(left_out.cleared(decode_png(data)))

    return changed_on_reading(files, cleared)
