"""Whether a picture looks like a mask, by its pixels: few colours in flat areas, or black and white alone."""

from __future__ import annotations

import numpy as np

MOST_COLOURS = 256
LEAST_FLAT = 0.8
"""Share of pixels that equal their right neighbour; photographs have less than half, even posterized ones."""

NEAR = 16
"""JPEG and soft edges leave values this near to black and white …"""
LEAST_NEAR = 0.97
"""… except for this remainder."""

_LONGEST_SIDE_PX = 512


def mask_likeness(image: np.ndarray) -> str | None:
    """Return in words why an RGB image, uint8 (H, W, 3), looks like a mask, or "" if it does not.

    None if it has one colour only: an empty mask, or a picture of nothing.
    """
    step = -(-max(image.shape[:2]) // _LONGEST_SIDE_PX)
    image = image[::step, ::step].astype(np.uint32)
    packed = (image[..., 0] << 16) | (image[..., 1] << 8) | image[..., 2]
    colours = np.unique(packed)
    grey = bool((image == image[..., :1]).all())
    if len(colours) == 1:
        return None
    if len(colours) == 2:
        return "two grey values" if grey else "two colours"
    levels = image[..., 0]
    near_black, near_white = (levels <= NEAR), (levels >= 255 - NEAR)
    if grey and near_black.any() and near_white.any() and (near_black | near_white).mean() >= LEAST_NEAR:
        return "black and white only"
    if len(colours) <= MOST_COLOURS and (packed[:, 1:] == packed[:, :-1]).mean() >= LEAST_FLAT:
        return f"{len(colours)} {'grey values' if grey else 'colours'} in flat areas"
    return ""
