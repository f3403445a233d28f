"""What a person draws on an image, and laying it over a mask.

A correction is uint8 (H, W) in the image's size: 0 is background, 1…K a class, `LEFT_OUT` excludes a pixel from loss
and scores, and `UNTOUCHED` says nothing about it. Strokes and whole masks are the same thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from PIL import Image

from engine.imaging.class_maps import Reference
from engine.imaging.codec import resize_class_map

LEFT_OUT, UNTOUCHED = 254, 255

LEAST_SHARE = 0.25
"""A pixel of a reduced map is marked if one value covers this share of it, so that thin strokes survive."""


class BadCorrection(ValueError):
    """A correction cannot be used. The sentence names the image, the rule and the value."""


def checked(values: np.ndarray, shape: tuple[int, int], classes: int, name: str) -> np.ndarray:
    """Return a correction, uint8 (H, W), of the image `name`, of `shape` and of a dataset with `classes` classes.

    Raises:
        BadCorrection: it has another size or another kind of values, or names a class that does not exist.
    """
    if values.ndim != 2 or values.dtype != np.uint8:
        raise BadCorrection(
            f"The correction of {name!r} must be an 8-bit greyscale PNG of class numbers. Got {values.dtype} with "
            f"shape {values.shape}."
        )
    if values.shape != tuple(shape):
        raise BadCorrection(
            f"The correction of {name!r} must have the size of the image, {shape[1]} × {shape[0]} pixels. "
            f"Got {values.shape[1]} × {values.shape[0]}."
        )
    unknown = [value for value, _ in counted(values) if classes < value < LEFT_OUT]
    if unknown:
        there = "class 1" if classes == 1 else f"classes 1 to {classes}"
        raise BadCorrection(
            f"The correction of {name!r} names class {unknown[0]}. The dataset has {there}; 0 is background, "
            f"{LEFT_OUT} ignore, {UNTOUCHED} untouched."
        )
    return values


def merged(before: np.ndarray | None, given: np.ndarray) -> np.ndarray:
    """Return `before` with what was drawn in `given`, both corrections, in its place."""
    return given if before is None else np.where(given == UNTOUCHED, before, given)


def counted(values: np.ndarray) -> list[list[int]]:
    """Return [[value, pixels], ...] of what a correction has, without untouched pixels."""
    counts = Image.fromarray(values).histogram()  # NumPy takes most of a second for 12 megapixels
    return [[value, count] for value, count in enumerate(counts) if count and value != UNTOUCHED]


def leaves_out(pixels: Iterable[Sequence[int]]) -> bool:
    """Return whether any of what `counted` returned is to be ignored."""
    return any(value == LEFT_OUT for value, _ in pixels)


def classes_drawn(pixels: Iterable[Sequence[int]]) -> list[int]:
    """Return the classes in what `counted` returned, without background."""
    return [value for value, _ in pixels if 0 < value < LEFT_OUT]


def as_reference(values: np.ndarray) -> Reference:
    """Return a correction as a reference to score masks with: what is untouched or to be ignored does not count."""
    ignored = values >= LEFT_OUT
    classes = np.where(ignored, 0, values).astype(np.uint8)
    several = classes if classes.max(initial=0) > 1 else None
    return Reference(classes > 0, ignored if ignored.any() else None, several)


def shrink_correction(correction: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a correction, uint8 (H, W), at `shape`.

    Where that is smaller, each pixel has the value that covers most of it, `UNTOUCHED` aside.
    """
    if correction.shape == tuple(shape):
        return correction
    if shape[0] * shape[1] > correction.size:
        return resize_class_map(correction, shape)
    small, most = np.full(shape, UNTOUCHED, np.uint8), np.full(shape, LEAST_SHARE, np.float32)
    for value in np.unique(correction[correction != UNTOUCHED]):
        cover = cv2.resize((correction == value).astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
        better = cover >= most
        small[better], most[better] = value, cover[better]
    return small


def over_levels(levels: np.ndarray, correction: np.ndarray, ignored_level: int | None = None) -> np.ndarray:
    """Return a foreground probability, uint8 (H, W), with a correction of any size laid over it.

    Args:
        ignored_level: the value of pixels to ignore; None leaves them as they are.
    """
    drawn = shrink_correction(correction, levels.shape)
    found = np.where(drawn == UNTOUCHED, levels, np.where(drawn > 0, 255, 0)).astype(np.uint8)
    ignored = drawn == LEFT_OUT
    found[ignored] = levels[ignored] if ignored_level is None else ignored_level
    return found


def over_classes(classes: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """Return the most likely class of each pixel, uint8 (H, W), with a correction of any size laid over it."""
    drawn = shrink_correction(correction, classes.shape)
    return np.where((drawn > 0) & (drawn < LEFT_OUT), drawn, classes).astype(np.uint8)
