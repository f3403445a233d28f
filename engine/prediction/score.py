"""Score a folder of masks against a folder of truth, without a database."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from engine.datasets.ingest import ASPECT_TOLERANCE
from engine.datasets.mask_values import mask_values
from engine.datasets.source import Folder, SourceFile, UnreadableSource
from engine.datasets.truth_file import TruthFile, read_truth
from engine.imaging import class_maps, codec, metrics

THRESHOLD = 0.5
_SIZES = codec.Limits(min_side_px=1)


class CannotScore(ValueError):
    """The two folders cannot be compared. The message is a sentence that gives the reason."""


def score(masks_folder: Path, truth_folder: Path) -> dict[str, int | float | str | list[str]]:
    """Return {"images", "dice", "iou", "fbeta", "mae", "unmatched", "masks_read_as", "truth_read_as"}.

    Files are paired by stem, ignoring case. The meaning of truth is detected over the whole folder as in an import
    (`engine.datasets.truth`): every class except background is foreground, and ignored pixels are left out. Masks are
    read likewise if they are label maps, class numbers such as 0/1, or colours; other masks are 0/255 or a
    probability, of which 128 and above is foreground. A mask of another size is resized to the truth's size.
    Scores are means over images; an image where both are empty scores 1. `unmatched` lists the files without a partner.

    Raises:
        CannotScore: a folder is missing or empty, no stems match, two files share a stem, or a file cannot be read,
            has other proportions than its truth, or is a photograph.
    """
    masks = _by_stem(Path(masks_folder))
    truths = _by_stem(Path(truth_folder))
    stems = sorted(masks.keys() & truths.keys())
    if not stems:
        raise CannotScore(
            f"No file in {str(masks_folder)!r} has the same name, without suffix, as one in {str(truth_folder)!r}."
        )
    mask_side = mask_values((_read(masks[stem]) for stem in stems), soft=True)
    truth_side = mask_values((_read(truths[stem]) for stem in stems), soft=False)
    totals: dict[str, float] = defaultdict(float)
    for stem in stems:
        reference = class_maps.reference(truth_side.codes.encode(_read(truths[stem])), truth_side.lookup)
        shape = reference.foreground.shape
        values = mask_side.probability(_read(masks[stem]))
        _check_proportions(masks[stem], values.shape, shape)
        if mask_side.lookup:
            values = codec.resize_mask(values > 0, shape).astype(np.uint8) * 255
        probability, foreground = reference.beside(codec.resize_image(values, shape))
        mask = metrics.to_mask(probability, THRESHOLD)
        totals["dice"] += metrics.dice(mask, foreground)
        totals["iou"] += metrics.iou(mask, foreground)
        totals["fbeta"] += metrics.fbeta(mask, foreground)
        totals["mae"] += metrics.mae(probability, foreground) if foreground.size else 0.0
    unmatched = [
        files[stem].name for files, other in ((masks, truths), (truths, masks)) for stem in files.keys() - other
    ]
    return {
        "images": len(stems),
        **{name: total / len(stems) for name, total in totals.items()},
        "unmatched": sorted(unmatched),
        "masks_read_as": mask_side.read_as,
        "truth_read_as": truth_side.read_as,
    }


def _check_proportions(file: SourceFile, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    ratio = (shape[1] * wanted[0]) / (shape[0] * wanted[1])
    if not 1 / (1 + ASPECT_TOLERANCE) <= ratio <= 1 + ASPECT_TOLERANCE:
        raise CannotScore(
            f"{file.handle} has {shape[1]} × {shape[0]} pixels and its truth {wanted[1]} × {wanted[0]}, so it is no "
            "mask of the same image."
        )


def _by_stem(folder: Path) -> dict[str, SourceFile]:
    try:
        source = Folder(folder)
    except UnreadableSource as error:
        raise CannotScore(str(error)) from None
    if not source.files:
        raise CannotScore(f"There are no images in {str(folder)!r}.")
    by_stem: dict[str, SourceFile] = {}
    for file in source.files:
        stem = str(Path(file.name).with_suffix("")).casefold()
        if stem in by_stem:
            raise CannotScore(f"Two files in {str(folder)!r} share a name: {by_stem[stem].name} and {file.name}.")
        by_stem[stem] = file
    return by_stem


def _read(file: SourceFile) -> TruthFile:
    try:
        return read_truth(file.handle.read_bytes(), _SIZES)
    except (OSError, codec.UnreadableImage) as error:
        raise CannotScore(f"{file.handle} cannot be scored: {error}") from None
