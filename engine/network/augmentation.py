"""Augmentation of a training image and its mask: one affine transform and one colour change per copy.

Image and target form a pair, uint8 (H, W, 4): red, green, blue and the 8-bit foreground probability, so that one warp
transforms both alike. A fifth channel is the most likely class, of which the nearest is taken. Imports only NumPy and
OpenCV, so that the Train page can preview exactly what training applies.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engine.core.run_parameters import AugmentationParams, DataParams
from engine.imaging.class_maps import resize_classes
from engine.imaging.codec import resize_image
from engine.network.framing import Corner, cut, draw_corner, foreground_points, scaled_shape

_BORDERS = {
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "constant": cv2.BORDER_CONSTANT,
}
_WARP_LIMIT_PX = 32_767  # OpenCV cannot warp images of this width or height


@dataclass(frozen=True)
class Change:
    """The changes of one copy of an image.

    `matrix` is float64 (2, 3) and maps an output pixel (x, y, 1) to its input pixel. Colours become
    value * `gain` + `shift`, where `shift` is float64 (3,) in grey levels.
    """

    matrix: np.ndarray
    gain: float
    shift: np.ndarray


def draw_change(params: AugmentationParams, shape: tuple[int, int], rng: np.random.Generator) -> Change:
    """Return a random change for squares of `shape` (height, width)."""
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


def apply_change(pair: np.ndarray, corner: Corner, size: int, change: Change, fill_mode: str = "reflect") -> np.ndarray:
    """Return the changed window of `size` at `corner` of a scaled pair, uint8 (H, W, 4 or 5) -> (S, S, 4 or 5).

    Uncovered pixels show the image around the window; only those beyond the image are filled.
    """
    height, width = pair.shape[:2]
    # The mirrored edge of a framed square is part of it; another fill mode applies only beyond that edge
    mirrored = min(corner) < 0 and fill_mode != "reflect"
    if mirrored or max(height, width) >= _WARP_LIMIT_PX:
        pair, corner = cut(pair, corner, size), (0, 0)
    top, left = corner
    matrix = change.matrix + np.array([[0, 0, left], [0, 0, top]])
    if pair.shape[2] > 4:
        pair, matrix = _around(pair, matrix, size)

    def warped(pixels: np.ndarray, interpolation: int) -> np.ndarray:
        flags = interpolation | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(pixels, matrix, (size, size), flags=flags, borderMode=_BORDERS[fill_mode], borderValue=0)

    square = cv2.LUT(warped(pair[..., :4], cv2.INTER_LINEAR), _levels(change))
    if pair.shape[2] == 4:
        return square
    return np.dstack([square, warped(np.ascontiguousarray(pair[..., 4]), cv2.INTER_NEAREST)])


def draw_square(
    pair: np.ndarray,
    points: np.ndarray,
    size: int,
    data: DataParams,
    augmentation: AugmentationParams,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return one random training square, uint8 (S, S, 4 or 5), of a scaled pair, uint8 (H, W, 4 or 5).

    `points` are foreground pixels of the pair, (K, 2), from `framing.foreground_points`.
    """
    corner = draw_corner(pair.shape[:2], size, data, points, rng)
    if not augmentation.enabled:
        return cut(pair, corner, size)
    return apply_change(pair, corner, size, draw_change(augmentation, (size, size), rng), augmentation.fill_mode)


def preview(
    image: np.ndarray,
    target: np.ndarray,
    data: DataParams,
    augmentation: AugmentationParams,
    size: int,
    shown_px: int,
    count: int,
    seed: int = 0,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return `count` training squares of a network of `size`, uint8 (P, P, 3) and (P, P[, 2]).

    `image` is RGB uint8 (H, W, 3), `target` its 8-bit foreground probability, uint8 of any (H, W), or (H, W, 2) with
    the class of each pixel. P is the minimum of `shown_px` and `size`: the same squares at a smaller size.
    """
    shown = min(size, shown_px)
    data = data.model_copy(update={"tile_scale": data.tile_scale * shown / size})
    shape = scaled_shape(image.shape[:2], data, shown)
    pair = np.dstack([resize_image(image, shape), resized_target(target, shape)])
    points = foreground_points(pair[..., 3])
    rng = np.random.default_rng(seed)
    squares = [draw_square(pair, points, shown, data, augmentation, rng) for _ in range(count)]
    after = 3 if target.ndim == 2 else slice(3, None)
    return [(np.ascontiguousarray(square[..., :3]), np.ascontiguousarray(square[..., after])) for square in squares]


def resized_target(target: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a target, uint8 (H, W) or (H, W, 2) with the class of each pixel, at (height, width)."""
    if target.ndim == 2:
        return resize_image(target, shape)
    return np.dstack([resize_image(target[..., 0].copy(), shape), resize_classes(target[..., 1], shape)])


def _around(pair: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a pair that a warped square needs, and the matrix for it; all of it at the image's edge.

    OpenCV copies channels that do not lie together, which would be the whole of a large image for each square.
    """
    last = size - 1
    x, y = matrix @ np.array([[0, last, 0, last], [0, 0, last, last], [1, 1, 1, 1]])
    left, top = int(np.floor(x.min())) - 2, int(np.floor(y.min())) - 2
    right, bottom = int(np.ceil(x.max())) + 3, int(np.ceil(y.max())) + 3
    if min(left, top) < 0 or right > pair.shape[1] or bottom > pair.shape[0]:
        return pair, matrix
    return pair[top:bottom, left:right], matrix - np.array([[0, 0, left], [0, 0, top]])


def _levels(change: Change) -> np.ndarray:
    """Return the lookup table of values, uint8 (1, 256, 4), which leaves the target unchanged."""
    values = np.arange(256)
    colours = values[:, np.newaxis] * change.gain + change.shift
    return np.column_stack([np.clip(np.rint(colours), 0, 255), values]).astype(np.uint8)[np.newaxis]


def _within(limit: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(-limit, limit))
