"""A folder of masks, to measure without a database."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from engine.datasets.mask_values import MaskValues, mask_values
from engine.datasets.source import Folder, SourceFile, UnreadableSource
from engine.datasets.truth_file import TruthFile, read_truth
from engine.imaging import codec, metrics
from engine.imaging.class_maps import reference
from engine.prediction.object_measurements import Scale
from engine.prediction.object_table import CannotMeasure, MaskedPicture, MaskSource

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
    if content.keys and values.lookup and max(values.lookup) <= 1 and all(isinstance(key, int) for key in content.keys):
        background = [number for number, key in enumerate(content.keys) if key == 0]
        ids = content.values.astype("int32") + 1
        ids[content.values == (background[0] if background else -1)] = 0
        return MaskedPicture(ids, numbered=True)
    if values.lookup:
        return MaskedPicture(reference(values.codes.encode(content), values.lookup).class_map)
    levels = values.codes.encode(content)
    return MaskedPicture(metrics.to_mask(levels, threshold).astype("uint8"), levels)


def _read(file: SourceFile) -> TruthFile:
    try:
        return read_truth(file.handle.read_bytes(), _SIZES)
    except (OSError, codec.UnreadableImage) as error:
        raise CannotMeasure(f"{file.handle} cannot be measured: {error}") from None
