"""Corrections that come as PNG files with the names of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.core.filenames import safe_stems
from engine.datasets.corrections import Drawn, merged
from engine.datasets.naming import stem
from engine.imaging import corrections
from engine.imaging.codec import Limits, UnreadableImage, decode_pixels
from engine.imaging.corrections import BadCorrection
from engine.store.base import Store

if TYPE_CHECKING:
    from db.models import Correction, Image


def paired(
    file_names: Sequence[str], images: Mapping[str, Image], named: Sequence[tuple[str, str]]
) -> list[tuple[str, Image]]:
    """Return each file name with its image, found by stem, ignoring case.

    Args:
        images: those of the dataset by id.
        named: [(name, image id)] (`db.datasets.named_images`).

    Raises:
        BadCorrection: a name has no image, several, or that of another file.
    """
    by_stem: dict[str, set[str]] = {}
    for safe, (name, image_id) in zip(safe_stems([name for name, _ in named]), named, strict=True):
        for key in {stem(name).casefold(), safe.casefold()}:
            by_stem.setdefault(key, set()).add(image_id)
    used: dict[str, str] = {}
    for file_name in file_names:
        found = by_stem.get(stem(file_name).casefold(), set())
        if len(found) != 1:
            why = f"{len(found)} images of the dataset have" if found else "no image of the dataset has"
            raise BadCorrection(f"{file_name!r} cannot be paired: {why} that name. Nothing was stored.")
        (image_id,) = found
        if image_id in used:
            both = f"{used[image_id]!r} and {file_name!r} both correct {images[image_id].name!r}"
            raise BadCorrection(f"{both}. Keep one; nothing was stored.")
        used[image_id] = file_name
    return [(file_name, images[image_id]) for image_id, file_name in used.items()]


def drawn_by_file(
    files: Store,
    before: Mapping[str, Correction],
    file_name: str,
    data: bytes,
    image: Image,
    classes: int,
    limits: Limits,
    finished: bool,
) -> Drawn:
    """Return what a file says of an image of a dataset with so many classes, over what `before` says of it.

    Raises:
        BadCorrection: the file is damaged, has another size, or names a class that does not exist.
    """
    values = merged(files, before, image, _read(file_name, data, image, classes, limits))
    return Drawn(image, values, image.correction_revision, "imported", finished)


def _read(file_name: str, data: bytes, image: Image, classes: int, limits: Limits) -> np.ndarray:
    try:
        values = decode_pixels(data, limits, keep_palette=True).values
    except UnreadableImage as error:
        raise BadCorrection(f"{file_name!r} cannot be read. {error} Nothing was stored.") from None
    shape = image.height, image.width
    return corrections.checked(values[..., 0] if values.shape[2] == 1 else values, shape, classes, file_name)
