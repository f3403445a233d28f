"""Pictures as the browser gets them: made smaller, or from a class map into grey or colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dashboard.ui import palette
from engine.imaging import corrections
from engine.imaging.class_maps import IGNORE
from engine.imaging.left_out import NOTHING, LeftOut

PATCH_PX, PATCH_LEAST_PX = 64, 24


def smaller_image(path: Path, size_px: int) -> bytes:
    """Return an image as WebP with its longest side at most `size_px`; it is never made larger."""
    with Image.open(path) as picture:
        return _webp(_fitted(picture.convert("RGB"), size_px, Image.Resampling.LANCZOS))


def patch(path: Path, row: float, column: float) -> bytes:
    """Return the square of an image around a place (row and column in [0, 1]) as WebP, PATCH_PX large at most.

    Its side is a seventh of the image's shorter side; at the image's edge it moves inwards.
    """
    with Image.open(path) as picture:
        side = min(max(PATCH_LEAST_PX, min(picture.size) // 7), *picture.size)
        left, top = (
            min(max(round(place * length - side / 2), 0), length - side)
            for place, length in zip((column, row), picture.size, strict=True)
        )
        square = picture.crop((left, top, left + side, top + side)).convert("RGB")
        return _webp(_fitted(square, PATCH_PX, Image.Resampling.LANCZOS))


def smaller_probability(path: Path, size_px: int) -> bytes:
    """Return an 8-bit probability as PNG with its longest side at most `size_px`, averaged over each pixel's area."""
    with Image.open(path) as picture:
        return _png(_fitted(picture.convert("L"), size_px, Image.Resampling.BOX))


def smaller_classes(path: Path, size_px: int) -> bytes:
    """Return class numbers as PNG with their longest side at most `size_px`, nearest neighbour."""
    with Image.open(path) as picture:
        return _png(_fitted(picture.convert("L"), size_px, Image.Resampling.NEAREST))


def left_out(path: Path, shape: tuple[int, int], drawn: bool) -> bytes:
    """Return a region as PNG of (height, width): 255 where something is left out; `drawn` as a correction has it."""
    with Image.open(path) as picture:
        region = picture.convert("L").resize(shape[::-1], Image.Resampling.NEAREST)
    inside, outside = (corrections.LEFT_OUT, corrections.UNTOUCHED) if drawn else (255, 0)
    return _png(region.point([outside] + [inside] * 255))


def grey_truth(path: Path, lookup: Sequence[int], size_px: int | None, left_out: LeftOut = NOTHING) -> bytes:
    """Return stored truth values as PNG: 0 where `lookup` says background, 255 for any other class."""
    classes = _classes(path, lookup, left_out)
    foreground = ((classes > 0) & (classes != IGNORE)).astype(np.uint8) * 255
    picture = Image.fromarray(foreground)
    # Averaged, so that "at least 0.5" means the larger part of the area that a pixel stands for.
    return _png(_fitted(picture, size_px, Image.Resampling.BOX) if size_px else picture)


def class_truth(path: Path, lookup: Sequence[int], size_px: int | None, left_out: LeftOut = NOTHING) -> bytes:
    """Return stored truth values as PNG whose grey value is the class, 0 for background."""
    picture = Image.fromarray(_classes(path, lookup, left_out))
    return _png(_fitted(picture, size_px, Image.Resampling.NEAREST) if size_px else picture)


def coloured_truth(
    path: Path,
    lookup: Sequence[int],
    size_px: int | None,
    left_out: LeftOut = NOTHING,
    colours: Sequence[str] = (),
) -> bytes:
    """Return stored truth values as PNG with one colour for each class and clear background.

    `colours` are those of the first classes by index; the others have the palette's.
    """
    chosen = [*colours, *(palette.class_colour(index) for index in range(len(colours), 256))]
    picture = Image.fromarray(_classes(path, lookup, left_out))
    picture.putpalette(bytes(3) + b"".join(bytes(_rgb(code)) for code in chosen[1:]))
    if size_px:
        picture = _fitted(picture, size_px, Image.Resampling.NEAREST)
    return _png(picture, transparency=0)


def _classes(path: Path, lookup: Sequence[int], left_out: LeftOut) -> np.ndarray:
    with Image.open(path) as picture:
        values = np.asarray(picture.convert("L"))
    # Before the import has proposed classes, anything that is not black is foreground.
    table = np.asarray(lookup, dtype=np.uint8) if len(lookup) == 256 else np.minimum(np.arange(256), 1).astype(np.uint8)
    region = left_out.of(values.shape)
    return table[values] if region is None else np.where(region, np.uint8(IGNORE), table[values])


def _fitted(picture: Image.Image, size_px: int, method: Image.Resampling) -> Image.Image:
    longest = max(picture.size)
    if longest <= size_px:
        return picture
    width, height = (max(1, round(side * size_px / longest)) for side in picture.size)
    return picture.resize((width, height), method)


def _png(picture: Image.Image, **options: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "PNG", compress_level=3, **options)
    return target.getvalue()


def _webp(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "WEBP", quality=85, method=2)
    return target.getvalue()


def _rgb(code: str) -> tuple[int, ...]:
    return tuple(int(code[start : start + 2], 16) for start in (1, 3, 5))
