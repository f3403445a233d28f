"""A mask as one picture, in the ways that other tools read."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from engine.imaging import codec, metrics

MaskKind = Literal["masks", "classes", "cutouts"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)


def mask_png(levels: np.ndarray, threshold: float) -> bytes:
    """Return an 8-bit probability (H, W) as a PNG of 0 (background) and 255 (foreground)."""
    return codec.encode_png(metrics.to_mask(levels, threshold).astype(np.uint8) * 255)


def class_png(levels: np.ndarray, threshold: float) -> bytes:
    """Return an 8-bit probability (H, W) as a PNG of class indices: 0 background, 1 foreground."""
    return codec.encode_png(metrics.to_mask(levels, threshold).astype(np.uint8))


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
