"""A mask as one picture, in the ways that other tools read."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import cv2
import numpy as np
from PIL import Image

from engine.imaging import codec, metrics
from engine.imaging.class_colours import png_palette

MaskKind = Literal["masks", "classes", "palette", "cutouts"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)


def mask_png(class_map: np.ndarray, kind: MaskKind, classes: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return a class map, uint8 (H, W), as an 8-bit PNG: 0 is background.

    "masks" are 255 in the foreground, or have the class of each pixel if `classes` are told apart. "classes" are always
    classes, and "palette" are classes whose colours a viewer shows.
    """
    if kind == "palette":
        picture, target = Image.fromarray(class_map), io.BytesIO()
        picture.putpalette(png_palette(classes))
        picture.save(target, "PNG", compress_level=1)
        return target.getvalue()
    return codec.encode_png(class_map if classes or kind == "classes" else class_map * np.uint8(255))


def cutout_png(image: np.ndarray, levels: np.ndarray, threshold: float) -> bytes:
    """Return the foreground of an RGB image (H, W, 3) as an RGBA PNG; the rest is transparent, and black beneath.

    A mask of another size than the image is brought to the image's.
    """
    mask = metrics.to_mask(levels, threshold)
    if mask.shape != image.shape[:2]:
        mask = codec.resize_mask(mask, image.shape[:2])
    pixels = np.dstack([image[..., ::-1], np.full(mask.shape, 255, np.uint8)])  # OpenCV wants BGRA
    pixels[~mask] = 0
    done, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"OpenCV could not write {pixels.shape} as PNG.")
    return encoded.tobytes()
