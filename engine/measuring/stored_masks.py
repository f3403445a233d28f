"""The one way to read stored masks to measure or export them: of a prediction set, of a mask set, or truth.

What is left out of a dataset is background, and corrections are laid over the masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.datasets.corrections import laid_over_masks, read
from engine.datasets.left_out import cleared_masks
from engine.datasets.truth import FEW_VALUES
from engine.datasets.truth_codes import OTHERS
from engine.datasets.truth_file import INDEX_LIMIT
from engine.imaging import class_maps, codec
from engine.imaging.corrections import as_reference
from engine.imaging.left_out import LeftOut
from engine.measuring.measurements import Scale
from engine.measuring.table import MaskedPicture, MaskSource
from engine.store import keys as stored
from engine.store.base import Store

if TYPE_CHECKING:
    from db.masks import MaskRows
    from db.models import Image

_FOLDERS = {
    "prediction_set": (stored.prediction_folder, stored.prediction_key, stored.prediction_classes_key),
    "label_set": (stored.label_folder, stored.label_key, stored.label_classes_key),
}
MOST_REGIONS = 1.5
"""Regions for each id, on average: a few objects are cut in two by others, and classes have many regions."""

_REGIONS = 4
"""Where a row of truth values has the number of regions."""


@dataclass(frozen=True)
class StoredMasks:
    """Reads the masks of `rows` from `files`.

    `uncorrected` reads them without corrections. `key_of` and `likely_key_of` give the keys of an image's probability,
    uint8 (H, W), and of its most likely classes, which exist where `rows.classes` are several. For truth both give the
    key of the truth, which is no probability.
    """

    rows: MaskRows
    files: Store
    uncorrected: Store
    left_out: LeftOut
    key_of: Callable[[str], str]
    likely_key_of: Callable[[str], str]

    @property
    def class_names(self) -> list[str]:
        """Return the names of class 1, 2, …, one where the masks know foreground alone."""
        one = [str(entry["name"]) for entry in self.rows.dataset.classes if entry["index"] == 1]
        return list(self.rows.classes) or one or ["foreground"]

    def picture(self, image: Image, threshold: float, intervals: bool = True) -> MaskedPicture:
        """Return the mask of an image in the image's own size, with its probability and the image itself.

        Args:
            intervals: also read what the interval of its count takes: what was known before, such as truth.

        Raises:
            MissingFile: a file is gone.
            UnreadableImage: a file is damaged.
        """
        pixels = self._decoded(stored.image_key(self.rows.dataset.id, image.id))
        shape = (pixels.shape[0], pixels.shape[1])
        if self.rows.owner == "truth":
            return replace(self._truth(image, shape), image=pixels)
        levels, likely = self._mask(self.files, image.id, shape)
        mask = MaskedPicture(class_maps.to_classes(levels, likely, threshold), levels, pixels)
        if not intervals:
            return mask
        drawn = self.rows.drawn.get(image.id)
        finished = drawn is not None and drawn.finished
        # What a person drew is certain; of a mask that is drawn wholly, the interval tells how wrong it was before.
        as_made = self._mask(self.uncorrected, image.id, shape) if finished else (levels, likely)
        known = self._known(image, shape)
        calibrates = known is not None and (drawn is None or finished) and image.id not in self.rows.learned_from
        return replace(mask, as_made=as_made, known=known, calibrates=calibrates, finished=finished)

    def sources(self, threshold: float, scale: Scale | None = None) -> list[MaskSource]:
        """Return how to read the mask of each image; its scale is `scale`, or what the file of the image said."""
        return [
            MaskSource(image.name, partial(self.picture, image, threshold), scale or file_scale(image), image.id)
            for image in self.rows.images
        ]

    def _mask(self, files: Store, image_id: str, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return probability and most likely classes, None where the masks know foreground alone."""
        levels = codec.resize_image(codec.decode_png(files.read(self.key_of(image_id))), shape)
        if not self.rows.classes:
            return levels, None
        likely = codec.decode_png(files.read(self.likely_key_of(image_id)))
        return levels, class_maps.resize_classes(likely, shape)

    def _known(self, image: Image, shape: tuple[int, int]) -> MaskedPicture | None:
        """Return what is known to be right: a correction of the whole image, or else its truth."""
        drawn = self.rows.drawn.get(image.id)
        if drawn is not None and drawn.finished:
            reference = as_reference(read(self.files, drawn, self.left_out)).resized(shape)
        elif image.has_truth:
            truth = self._truth(image, shape)
            if truth.numbered or self.rows.classes:
                return truth
            return MaskedPicture((truth.class_map > 0).astype(np.uint8))
        else:
            return None
        return MaskedPicture(reference.class_map if self.rows.classes else reference.foreground.astype(np.uint8))

    def _truth(self, image: Image, shape: tuple[int, int]) -> MaskedPicture:
        codes, dataset = self._decoded(stored.truth_key(self.rows.dataset.id, image.id)), self.rows.dataset
        reference = self.left_out.reference(codes, dataset.lookup).resized(shape)
        if codes.shape == shape and are_ids(dataset.lookup, dataset.truth_codes or [], image.truth_values):
            return MaskedPicture(np.where(reference.foreground, codes, 0), numbered=True)
        return MaskedPicture(reference.class_map)

    def _decoded(self, key: str) -> np.ndarray:
        return codec.decode_png(self.files.read(key))


def stored_masks(files: Store, rows: MaskRows) -> StoredMasks:
    """Return what reads the masks of `rows`."""
    dataset = rows.dataset
    left_out = LeftOut(files, stored.left_out_key(dataset.id, dataset.left_out_id))
    if rows.owner == "truth":
        key_of = partial(stored.truth_key, dataset.id)
        return StoredMasks(rows, files, files, left_out, key_of, key_of)
    folder, key, likely_key = _FOLDERS[rows.owner]
    key_of, likely_key_of = partial(key, rows.owner_id), partial(likely_key, rows.owner_id)
    uncorrected = cleared_masks(files, folder(rows.owner_id), left_out)
    corrected = cleared_masks(
        laid_over_masks(files, key_of, likely_key_of, rows.drawn), folder(rows.owner_id), left_out
    )
    return StoredMasks(rows, corrected, uncorrected, left_out, key_of, likely_key_of)


def are_ids(lookup: Sequence[int], codes: Sequence[Sequence[Any]], values: Sequence[Sequence[int]]) -> bool:
    """Return whether the truth values of an image are ids of objects: numbers of one class, one region each.

    Args:
        lookup: the class of each of 256 codes.
        codes: [code, what it stands for] of the dataset, unless codes stand for themselves.
        values: `engine.datasets.truth.ValueRow` of the image; without regions, of older imports, nothing is known.
    """
    known: dict[int, Any] = {row[0]: row[1] for row in codes}
    rows = [row for row in values if lookup[row[0]] not in (0, class_maps.IGNORE)]
    present = [row[0] for row in rows]
    if len(rows) < 2 or min(map(len, rows)) <= _REGIONS or class_maps.class_count(lookup) != 1:
        return False
    are_numbers = all(isinstance(known.get(code, code), int) for code in present)
    if not are_numbers or (OTHERS in present and OTHERS not in known):
        return False
    numbers = bool(known) or max(present) < INDEX_LIMIT or len(rows) > FEW_VALUES
    return numbers and sum(row[_REGIONS] for row in rows) <= MOST_REGIONS * len(rows)


def file_scale(image: Image) -> Scale | None:
    """Return the size of an image's pixels as its file says, None where it does not."""
    if image.pixel_width_um is None or image.pixel_height_um is None:
        return None
    return Scale(image.pixel_width_um, image.pixel_height_um, image.pixel_size_source or "file")
