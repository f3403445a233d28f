"""Score a folder of masks against a folder of truth, without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.datasets.ingest import ASPECT_TOLERANCE
from engine.datasets.mask_values import mask_values
from engine.datasets.source import Folder, SourceFile, UnreadableSource
from engine.datasets.truth import TruthClass
from engine.datasets.truth_file import TruthFile, read_truth
from engine.imaging import class_maps, codec, metrics
from engine.prediction.mask_classes import mask_classes

THRESHOLD = 0.5
_SIZES = codec.Limits(min_side_px=1)


class CannotScore(ValueError):
    """The two folders cannot be compared. The message is a sentence that gives the reason."""


def score(masks_folder: Path, truth_folder: Path, classes: bool = False) -> dict[str, Any]:
    """Return {"images", "dice", "iou", "fbeta", "mae", "unmatched", "masks_read_as", "truth_read_as"}.

    With `classes` also "classes": [{"class", "name", "dice", "iou"}], from pixels summed over all images, and masks are
    read as `mask_classes` says where the truth has several; the other scores remain those of foreground.

    Files are paired by stem, ignoring case. The meaning of truth is detected over the whole folder as in an import
    (`engine.datasets.truth`): every class except background is foreground, and ignored pixels are left out. Masks are
    read likewise if they are label maps, class numbers such as 0/1, or colours; other masks are 0/255 or a
    probability, of which 128 and above is foreground. A mask of another size is resized to the truth's size.
    Scores are means over images; an image where both are empty scores 1. `unmatched` lists the files without a partner.

    Raises:
        CannotScore: a folder is missing or empty, no stems match, two files share a stem, or a file cannot be read,
            has other proportions than its truth, or is a photograph.
        NoClasses: `classes` is asked for, and the values of the masks are no classes of the truth.
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
    several = mask_classes((_read(masks[stem]) for stem in stems), mask_side, truth_side) if classes else None
    lookup = several.truth_lookup if several else truth_side.lookup
    totals: dict[str, float] = defaultdict(float)
    pairs: list[list[int]] = []
    for stem in stems:
        reference = class_maps.reference(truth_side.codes.encode(_read(truths[stem])), lookup)
        shape = reference.foreground.shape
        mask_file = _read(masks[stem])
        _check_proportions(masks[stem], mask_file.values.shape, shape)
        if several:
            found = several.class_map(mask_file)
            predicted = class_maps.Reference(found > 0, None, found).resized(shape).class_map
            levels = (predicted > 0).astype(np.uint8) * 255
        else:
            levels = mask_side.probability(mask_file)
            if mask_side.lookup:
                levels = codec.resize_mask(levels > 0, shape).astype(np.uint8) * 255
            levels = codec.resize_image(levels, shape)
            predicted = metrics.to_mask(levels, THRESHOLD).astype(np.uint8)
        if classes:
            pairs += reference.confusion(predicted)
        probability, foreground = reference.beside(levels)
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
        "masks_read_as": (several or mask_side).read_as,
        "truth_read_as": truth_side.read_as,
        **({"classes": _of_classes((several or truth_side).classes, pairs)} if classes else {}),
    }


def _of_classes(classes: Sequence[TruthClass], pairs: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    names = [entry.name for entry in classes][1:] or ["foreground"]
    scores = metrics.class_scores(metrics.confusion_matrix(pairs, len(names)))
    rows = zip(names, scores.dice.tolist(), scores.iou.tolist(), strict=True)
    return [
        {"class": number, "name": name, "dice": dice, "iou": iou} for number, (name, dice, iou) in enumerate(rows, 1)
    ]


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
