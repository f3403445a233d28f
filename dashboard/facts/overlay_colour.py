"""The colour of masks that stands out most from the images of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

SAMPLE_PX = 24
QUANTILE = 0.1
"""Of the distances to all pixels: most of the mask must be visible wherever it lies, not on average."""


def contrasting_colour(images: Sequence[np.ndarray], colours: Mapping[str, str]) -> str:
    """Return the name of the colour that is farthest from the pixels of images, by CIE76.

    Args:
        images: uint8 RGB (H, W, 3) each; small ones are enough.
        colours: "#RRGGBB" by name. Without images it is the first.
    """
    if not images:
        return next(iter(colours))
    small = [cv2.resize(image, (SAMPLE_PX, SAMPLE_PX), interpolation=cv2.INTER_AREA) for image in images]
    pixels = _lab(np.concatenate(small).reshape(-1, 3))
    scores = {name: _distance(pixels, _lab(np.array([_rgb(code)], np.uint8))) for name, code in colours.items()}
    return max(scores, key=scores.__getitem__)


def _distance(pixels: np.ndarray, colour: np.ndarray) -> float:
    return float(np.quantile(np.linalg.norm(pixels - colour, axis=1), QUANTILE))


def _lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]


def _rgb(code: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(code[1:]))
