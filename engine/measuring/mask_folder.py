"""A folder of masks, to measure without a database."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from engine.datasets.mask_values import MaskValues, mask_values
from engine.datasets.source import Folder, SourceFile, UnreadableSource
from engine.datasets.truth_file import INDEX_LIMIT, TruthFile, read_truth
from engine.imaging import codec, metrics
from engine.imaging.class_maps import reference
from engine.measuring.measurements import Scale
from engine.measuring.table import CannotMeasure, MaskedPicture, MaskSource

_SIZES = codec.Limits(min_side_px=1)


def mask_folder(folder: Path, threshold: float, scale: Scale | None) -> tuple[list[MaskSource], list[str]]:
    """Return the masks of a folder, with the names of their classes.

    What their values mean is found over the whole folder, as for an import: 0/255 or a probability, class numbers or
    colours, or ids, each of which is an object.

    Raises:
        CannotMeasure: there are no masks, or a file cannot be read.
    """
    try:
        found = Folder(folder)
    except UnreadableSource as error:
        raise CannotMeasure(str(error)) from None
    if not found.files:
        raise CannotMeasure(f"There are no masks in {str(folder)!r}.")
    values = mask_values((_read(file) for file in found.files), soft=True)
    sources = [
        MaskSource(file.name, partial(_picture, file, values, threshold), scale)
        for file in sorted(found.files, key=lambda file: file.name)
    ]
    return sources, [entry.name for entry in values.classes][1:]


def _picture(file: SourceFile, values: MaskValues, threshold: float) -> MaskedPicture:
    content = _read(file)
    if _are_objects(values):
        keys = np.array(range(256) if content.keys is None else content.keys)
        return MaskedPicture(keys[content.values], numbered=True)
    if values.lookup:
        return MaskedPicture(reference(values.codes.encode(content), values.lookup).class_map)
    levels = values.codes.encode(content)
    return MaskedPicture(metrics.to_mask(levels, threshold).astype(np.uint8), levels)


def _are_objects(values: MaskValues) -> bool:
    """Return whether the values are ids of objects, all of one class."""
    present = np.flatnonzero(values.counts)
    if not values.lookup or len(present) <= 2 or max(values.lookup[code] for code in present) > 1:
        return False
    known = dict(values.codes.table)
    return all(isinstance(known.get(code, code), int) for code in present.tolist()) and (
        bool(known) or bool(present[-1] < INDEX_LIMIT)
    )


def _read(file: SourceFile) -> TruthFile:
    try:
        return read_truth(file.handle.read_bytes(), _SIZES)
    except (OSError, codec.UnreadableImage) as error:
        raise CannotMeasure(f"{file.handle} cannot be measured: {error}") from None
