"""Score a folder of masks against a folder of truth, without a database."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from engine.datasets import truth as truth_values
from engine.datasets.source import Folder, SourceFile, UnreadableSource
from engine.imaging import codec, metrics

THRESHOLD = 0.5
_SIZES = codec.Limits(min_side_px=1)


class CannotScore(ValueError):
    """The two folders cannot be compared. The message is a sentence that gives the reason."""


def score(masks_folder: Path, truth_folder: Path) -> dict[str, int | float | list[str]]:
    """Return {"images", "dice", "iou", "fbeta", "mae", "unmatched"} of the masks in one folder against another.

    Files are paired by stem, ignoring case. Masks are 0/255 or an 8-bit probability; 128 and above is foreground, and
    the mean absolute error is that of the probability. A mask of another size is resized to the truth's size. The
    meaning of the truth's grey values is detected over the whole folder as in an import (`engine.datasets.truth`):
    every class except the background is foreground, so 0/1, 0/255 and 0/127/255 with stray greys are all supported.
    Scores are means over images; an image where both are empty scores 1. `unmatched` lists the files without a partner.

    Raises:
        CannotScore: a folder is missing or empty, no stems match, two files share a stem, or a file cannot be read.
    """
    masks = _by_stem(Path(masks_folder))
    truths = _by_stem(Path(truth_folder))
    stems = sorted(masks.keys() & truths.keys())
    if not stems:
        raise CannotScore(
            f"No file in {str(masks_folder)!r} has the same name, without suffix, as one in {str(truth_folder)!r}."
        )
    counts = np.sum([truth_values.value_counts(_read(truths[stem])) for stem in stems], axis=0)
    lookup = truth_values.propose_classes(counts).lookup
    totals: dict[str, float] = defaultdict(float)
    for stem in stems:
        reference = truth_values.class_map(_read(truths[stem]), lookup) > 0
        probability = codec.resize_image(_read(masks[stem]), reference.shape)
        mask = metrics.to_mask(probability, THRESHOLD)
        totals["dice"] += metrics.dice(mask, reference)
        totals["iou"] += metrics.iou(mask, reference)
        totals["fbeta"] += metrics.fbeta(mask, reference)
        totals["mae"] += metrics.mae(probability, reference)
    unmatched = [
        files[stem].name for files, other in ((masks, truths), (truths, masks)) for stem in files.keys() - other
    ]
    means = {name: total / len(stems) for name, total in totals.items()}
    return {"images": len(stems), **means, "unmatched": sorted(unmatched)}


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


def _read(file: SourceFile) -> np.ndarray:
    try:
        return codec.decode_truth(file.handle.read_bytes(), _SIZES)
    except (OSError, codec.UnreadableImage) as error:
        raise CannotScore(f"{file.handle} cannot be scored: {error}") from None
