"""A region of a dataset's images that is left out: nothing there is foreground, learned from or scored.

It is one map of the size of the image that it was drawn on. For an image of another size it is stretched to that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from engine.imaging import class_maps
from engine.imaging.class_maps import Reference
from engine.imaging.codec import decode_png
from engine.imaging.corrections import LEFT_OUT

MOST_SHARE = 0.95
"""At most so much of an image can be left out."""


class BadRegion(ValueError):
    """A region cannot be left out. The sentence gives the rule and the value."""


class Files(Protocol):
    """What a region is read from: a store (`engine.store.base.Store`)."""

    def read(self, key: str, /) -> bytes: ...


@dataclass(frozen=True)
class LeftOut:
    """One region, or none: everything that reads images, masks or references of a dataset goes through it.

    `key` is that of its PNG in `files`, 255 where something is left out, which never changes; empty for none.
    """

    files: Files | None = None
    key: str = ""

    def __bool__(self) -> bool:
        return self.files is not None and self.key != ""

    def of(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the region in an image of (height, width), bool (H, W), or None if there is none."""
        return _region(self, (shape[0], shape[1])) if self else None

    def cleared(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask, probability or class map (H, W) that is 0 in the region."""
        region = self.of(mask.shape)
        return mask if region is None else np.where(region, np.zeros((), mask.dtype), mask)

    def marked(self, correction: np.ndarray) -> np.ndarray:
        """Return a correction, uint8 (H, W), in which the region is to be ignored."""
        region = self.of(correction.shape)
        return correction if region is None else np.where(region, np.uint8(LEFT_OUT), correction)

    def ignored(self, reference: Reference) -> Reference:
        """Return a reference in which the region does not count."""
        region = self.of(reference.foreground.shape)
        if region is None:
            return reference
        ignored = region if reference.ignored is None else region | reference.ignored
        return replace(reference, foreground=reference.foreground & ~region, ignored=ignored)

    def reference(self, values: np.ndarray, lookup: Sequence[int] | np.ndarray) -> Reference:
        """Return truth as stored, uint8 (H, W), as `class_maps.reference` does; the region does not count."""
        return self.ignored(class_maps.reference(values, lookup))

    def filled(self, image: np.ndarray) -> np.ndarray:
        """Return an image, uint8 RGB (H, W, 3), with the nearest colours around the region in its place.

        So a method that looks at whole images sees neither a frame nor its outline.
        """
        if not self:
            return image
        inside, nearest = _nearest_outside(self, (image.shape[0], image.shape[1]))
        flat = image.reshape(-1, 3).copy()
        flat[inside] = flat[nearest]
        return flat.reshape(image.shape)


NOTHING = LeftOut()


def checked(values: np.ndarray, what: str) -> np.ndarray:
    """Return a mask of what to leave out, bool (H, W): all pixels of `values`, uint8 (H, W), that are not 0.

    `what` it is called begins the sentence of an error.

    Raises:
        BadRegion: it is no greyscale mask, is empty, or leaves too little of an image.
    """
    if values.ndim != 2 or values.dtype != np.uint8:
        raise BadRegion(
            f"{what} must be an 8-bit greyscale PNG, where every pixel that is not 0 is left out. "
            f"Got {values.dtype} with shape {values.shape}."
        )
    region = values > 0
    if not region.any():
        raise BadRegion(f"{what} leaves nothing out: all of its pixels are 0.")
    if region.mean() > MOST_SHARE:
        raise BadRegion(
            f"{what} leaves out {region.mean():.0%} of an image. At most {MOST_SHARE:.0%} can be left out; "
            "pixels to keep are 0."
        )
    return region


@lru_cache(maxsize=8)
def _region(left_out: LeftOut, shape: tuple[int, int]) -> np.ndarray:
    assert left_out.files is not None  # none is no region
    region = decode_png(left_out.files.read(left_out.key))
    if region.shape != shape:
        region = cv2.resize(region, shape[::-1], interpolation=cv2.INTER_NEAREST)
    found = region > 0
    found.setflags(write=False)  # it is shared
    return found


@lru_cache(maxsize=2)
def _nearest_outside(left_out: LeftOut, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat indices of the region's pixels, and for each that of the nearest pixel outside, intp (N,)."""
    region = _region(left_out, shape)
    if region.all():  # a small image, of a region that nearly fills a large one
        return (np.empty(0, np.intp),) * 2
    _, labels = cv2.distanceTransformWithLabels(
        region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inside, outside = np.flatnonzero(region), np.flatnonzero(~region)
    place = np.zeros(int(labels.max()) + 1, np.intp)
    place[labels.ravel()[outside]] = outside
    return inside, place[labels.ravel()[inside]]
