"""Objects that vanish when images are scaled to the network's size: counted from masks before a network is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.core.run_config import RunConfig
from engine.core.run_parameters import DataParams
from engine.network.framing import Shape, scaled_shape
from engine.store.base import StoredFile
from engine.training.samples import TrainingError, read_stored, scaled_levels

MOST_IMAGES, MOST_PIXELS = 64, 24_000_000
"""So many masks, of so many pixels together, are read: about a second, however large the set."""

LARGEST_PX, LARGEST_TILE_SCALE = 2048, 2.0
FOREGROUND = 128


@dataclass(frozen=True)
class Vanished:
    """In `lost` of `with_objects` masks no foreground is left at the network's size.

    `enough` is the least image size in pixels (with the framing tiles: the tile scale) of those tried, each twice the
    last, at which every mask keeps some foreground; None if there is none.
    """

    with_objects: int
    lost: int
    enough: float | None = None


def vanishing_note(
    targets: Sequence[Path | StoredFile], shapes: Sequence[Shape], lookup: Sequence[int] | None, config: RunConfig
) -> str:
    """Return what a person should know and change before training; empty if no mask loses all its objects.

    Of many or large masks a sample is read, evenly spread. A missing or damaged file gives no note, as
    training reports it.

    Args:
        targets: the masks to train on, in the order of their images.
        shapes: their (height, width).
        lookup: as in `vanished`.
    """
    if not targets:
        return ""
    mean = sum(height * width for height, width in shapes) / len(shapes)
    count = min(len(targets), MOST_IMAGES, max(int(MOST_PIXELS / mean), 1))
    chosen = [targets[(2 * place + 1) * len(targets) // (2 * count)] for place in range(count)]
    try:
        found = vanished(chosen, lookup, config.data, config.model.image_size)
    except TrainingError:
        return ""
    return _sentence(found, count, len(targets), config) if found.lost else ""


def vanished(
    targets: Sequence[Path | StoredFile], lookup: Sequence[int] | None, data: DataParams, size: int
) -> Vanished:
    """Return how many masks lose all their foreground when they are scaled as training scales them.

    Args:
        targets: truth, whose classes `lookup` gives, or 8-bit probabilities if `lookup` is None.
        size: the network's image size in pixels.

    Raises:
        TrainingError: a file is missing or damaged.
    """
    with_objects, lost = 0, []
    for file in targets:
        target = read_stored(file)
        if _keeps(target, lookup, target.shape):
            with_objects += 1
            if not _keeps(target, lookup, scaled_shape(target.shape, data, size)):
                lost.append(target)
    return Vanished(with_objects, len(lost), _enough(lost, lookup, data, size) if lost else None)


def _sentence(found: Vanished, read: int, images: int, config: RunConfig) -> str:
    tiles, size = config.data.framing == "tiles", config.model.image_size
    what, unit, value = ("tile scale", "", config.data.tile_scale) if tiles else ("image size", " px", size)
    ways = [f"a larger {what}"] if value < (LARGEST_TILE_SCALE if tiles else LARGEST_PX) else []
    if found.enough is not None:
        ways = [f"a larger {what} (at {found.enough:g}{unit} each of these images keeps some)"]
    if not tiles:
        ways.append("the framing “tiles”, which cuts images without scaling them")
    sample = f" {read:,} of {images:,} masks were looked at." if read < images else ""
    return (
        f"In {found.lost:,} of {found.with_objects:,} images with objects, no object is left at "
        f"{f'{what} {value:g}' if tiles else f'{value} px'}: what is marked is too small, and the network would learn "
        f"that nothing is there. Choose {' or '.join(ways)}.{sample}"
    )


def _enough(lost: Sequence[np.ndarray], lookup: Sequence[int] | None, data: DataParams, size: int) -> float | None:
    tiles = data.framing == "tiles"
    value, limit = (data.tile_scale, LARGEST_TILE_SCALE) if tiles else (float(size), float(LARGEST_PX))
    while (value := 2 * value) <= limit:
        scaling = (data.model_copy(update={"tile_scale": value}), size) if tiles else (data, int(value))
        if all(_keeps(target, lookup, scaled_shape(target.shape, *scaling)) for target in lost):
            return value
    return None


def _keeps(target: np.ndarray, lookup: Sequence[int] | None, shape: tuple[int, ...]) -> bool:
    return bool((scaled_levels(target, lookup, (shape[0], shape[1])) >= FOREGROUND).any())
