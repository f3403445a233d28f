"""What the values of a folder of masks mean: 0/255, a probability, class numbers, ids of a label map, or colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.datasets import truth
from engine.datasets.truth_codes import TruthCodes
from engine.datasets.truth_file import Key, TruthFile
from engine.imaging import class_maps

PROBABILITY = "a probability: 128 and above is foreground"
_SHOWN = 4


@dataclass(frozen=True)
class MaskValues:
    """The codes of the values of some masks, the class of each code, and in words how the masks are read.

    `lookup` and `classes` are empty where the values are levels: 0/255 or a probability. `counts`, int64 (256,), has
    the pixels of each code.
    """

    codes: TruthCodes
    counts: np.ndarray
    lookup: tuple[int, ...]
    read_as: str
    classes: tuple[truth.TruthClass, ...] = ()

    def probability(self, file: TruthFile) -> np.ndarray:
        """Return how likely each pixel is foreground: levels as they are, else 0 and 255, uint8 (H, W)."""
        values = self.codes.encode(file)
        if not self.lookup:
            return values
        return class_maps.reference(values, self.lookup).foreground.astype(np.uint8) * 255


def mask_values(files: Iterable[TruthFile], soft: bool) -> MaskValues:
    """Return what the values of a set of masks mean. Each file is needed once and may be dropped then.

    `soft`: levels may be a probability, which has no classes.
    """
    codes = TruthCodes()
    rows = [truth.value_rows(codes.encode(file)) for file in files]
    found, keys = truth.facts(rows), dict(codes.table)
    levels = np.flatnonzero(found.counts).tolist()
    high = bool(levels) and levels[-1] >= truth.INDEX_LIMIT and {1, 255} != set(levels) - {0}
    if soft and not keys and high and not truth.holds_label_map(found) and not truth.holds_indices(found):
        return MaskValues(codes, found.counts, (), "0/255" if set(levels) <= {0, 255} else PROBABILITY)
    proposed = truth.propose_classes(found, keys)
    read_as = meanings({keys.get(entry.value, entry.value): entry.name for entry in proposed.classes})
    return MaskValues(codes, found.counts, proposed.lookup, read_as, proposed.classes)


def meanings(names: Mapping[Key, str]) -> str:
    """Return the first few values with the names of their classes: "0 = background, 1 = pet"."""
    shown = ", ".join(f"{value} = {name}" for value, name in list(names.items())[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "")
