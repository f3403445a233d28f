"""Random changes of a training image and its mask: one affine matrix and one colour change for each copy.

NumPy and OpenCV only, so that the page can preview exactly what training applies.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engine.imaging import resize_image
from engine.run_parameters import AugmentationParams

_BORDERS = {
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
}


@dataclass(frozen=True)
class Change:
    """What happens to one copy of an image.

    `matrix` is float64 (2, 3) and maps an output pixel (x, y, 1) to the input pixel it shows. Colours become
    value * `gain` + `shift`, `shift` being float64 (3,) in grey levels.
    """

    matrix: np.ndarray
    gain: float
    shift: np.ndarray


def draw_change(params: AugmentationParams, shape: tuple[int, int], rng: np.random.Generator) -> Change:
    """Return a random change for pictures of `shape` (height, width)."""
    height, width = shape
    angle, shear = np.deg2rad([_within(params.rotation_range, rng), _within(params.shear_range, rng)])
    zoom = 1 + _within(params.zoom_range, rng)
    move = [_within(params.width_shift_range, rng) * width, _within(params.height_shift_range, rng) * height]
    mirror = [
        -1 if params.horizontal_flip and rng.random() < 0.5 else 1,
        -1 if params.vertical_flip and rng.random() < 0.5 else 1,
    ]
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = np.array([[1, np.tan(shear)], [0, 1]])
    linear = rotation @ slant @ np.diag(mirror) / zoom
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre + move - linear @ centre
    return Change(
        matrix=np.column_stack([linear, offset]),
        gain=1 + _within(params.brightness_range, rng),
        shift=np.array([_within(params.channel_shift_range, rng) for _ in range(3)]),
    )


def apply_change(
    image: np.ndarray, target: np.ndarray, change: Change, fill_mode: str = "reflect"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the changed image, uint8 (H, W, 3), and target, uint8 (H, W): the same geometry, colour for the image."""
    levels = np.arange(256)[:, np.newaxis] * change.gain + change.shift
    coloured = cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8).reshape(256, 1, 3))
    return _warp(coloured, change.matrix, fill_mode), _warp(target, change.matrix, fill_mode)


def augment(
    image: np.ndarray, target: np.ndarray, params: AugmentationParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return one randomly changed copy of an image, uint8 (H, W, 3), and its target, uint8 (H, W)."""
    if not params.enabled:
        return image, target
    return apply_change(image, target, draw_change(params, image.shape[:2], rng), params.fill_mode)


def preview(
    image: np.ndarray, target: np.ndarray, params: AugmentationParams, image_size: int, count: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return `count` changed copies as the network sees them: uint8 (S, S, 3) and (S, S) with S = `image_size`.

    `image` is RGB uint8 (H, W, 3), `target` its 8-bit foreground probability, uint8 of any (H, W).
    """
    square = (image_size, image_size)
    image, target = resize_image(image, square), resize_image(target, square)
    rng = np.random.default_rng(seed)
    return [augment(image, target, params, rng) for _ in range(count)]


def _within(limit: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(-limit, limit))


def _warp(pixels: np.ndarray, matrix: np.ndarray, fill_mode: str) -> np.ndarray:
    return cv2.warpAffine(
        pixels,
        matrix,
        pixels.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=_BORDERS[fill_mode],
        borderValue=0,
    )
