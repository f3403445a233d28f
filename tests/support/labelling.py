"""Images that a pseudo-label method must survive, and drawing with methods that see a dataset first."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import cv2
import numpy as np

from engine.labelling.base import LabelParams, Method, draw, find_method, fit_state, look_at, values_for

SEED = 1


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)


def checkerboard(height: int, width: int) -> np.ndarray:
    squares = np.indices((height, width)).sum(0) % 2
    return np.repeat((squares * 255).astype(np.uint8)[..., None], 3, axis=2)


ODD = {
    "1 x 1": noise(1, 1),
    "2 x 2": noise(2, 2),
    "3 x 3": noise(3, 3),
    "one row": noise(1, 70),
    "one column": noise(70, 1),
    "very long": noise(2, 9000),
    "black": np.zeros((40, 60, 3), np.uint8),
    "white": np.full((60, 40, 3), 255, np.uint8),
    "nearly flat": np.full((40, 60, 3), 90, np.uint8) + (noise(40, 60) > 250),
    "noise": noise(90, 120),
    "checkerboard": checkerboard(64, 64),
    "two halves": np.repeat(np.repeat([[[0, 0, 0]], [[255, 255, 255]]], 24, 0), 48, 1).astype(np.uint8),
    "one bright pixel": cv2.circle(np.zeros((50, 50, 3), np.uint8), (25, 25), 0, (255, 255, 255)),
    "grey": np.repeat(noise(60, 80)[..., :1], 3, axis=2),
    "not contiguous": noise(60, 80)[::-1, ::2],
}


def disc(row: int = 62, column: int = 84) -> tuple[np.ndarray, np.ndarray]:
    """Return an orange disc on a shaded blue-grey ground with fine noise, and its mask."""
    rows, columns = np.mgrid[:120, :160]
    mask = (rows - row) ** 2 + (columns - column) ** 2 < 30**2
    ground = np.stack([60 + columns * 0.2, 80 + rows * 0.2, 110 + columns * 0.1], axis=-1)
    image = np.where(mask[..., None], (235, 150, 40), ground)
    image = image + np.random.default_rng(0).normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def thin_line() -> tuple[np.ndarray, np.ndarray]:
    """Return a dark line, 5 px wide, across a lighter ground with fine noise, and its mask."""
    mask = np.zeros((120, 160), np.uint8)
    cv2.polylines(mask, [np.array([[0, 30], [60, 70], [110, 60], [159, 95]])], False, 1, 5)
    image = np.where(mask[..., None], 60, 170) + np.random.default_rng(0).normal(0, 4, (120, 160, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(bool)


DISCS = (disc()[0], disc(50, 60)[0], disc(70, 100)[0])
MIXED = (*DISCS[:2], ODD["black"], ODD["noise"], ODD["1 x 1"], ODD["one row"])
"""Datasets a method is fitted to: what it is for, and that among images that show nothing."""


def drawn(
    method: Method, image: np.ndarray, params: LabelParams, dataset: tuple[np.ndarray, ...] = MIXED, seed: int = SEED
) -> np.ndarray:
    """Return the probability that a method draws, fitted to `dataset` first where it has to be."""
    return draw(method, image, params, seed, fitted(method, params, dataset))


def fitted(method: Method, params: LabelParams, dataset: tuple[np.ndarray, ...] = MIXED) -> dict[str, Any] | None:
    """Return the state of a method for a dataset, None where it needs none; the same question is answered once."""
    if method.fit is None:
        return None
    return _fitted(method.name, params.model_dump_json(), tuple(map(_Image, dataset)))


class _Image:
    """An image as part of a key."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __hash__(self) -> int:
        return hash(self.pixels.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Image) and np.array_equal(self.pixels, other.pixels)


@cache
def _fitted(name: str, params_json: str, dataset: tuple[_Image, ...]) -> dict[str, Any]:
    method = find_method(name)
    params = method.params.model_validate_json(params_json)
    seen = json.dumps(values_for(params, "look"))
    return fit_state(method, [_looked(name, seen, image) for image in dataset], params, SEED)


@cache
def _looked(name: str, look_values: str, image: _Image) -> Any:
    method = find_method(name)
    params = method.params(**json.loads(look_values))
    return looked(method, image.pixels, params)


def looked(method: Method, image: np.ndarray, params: LabelParams) -> Any:
    """Return what a method sees in an image, with a correction of it for methods that learn from them."""
    return look_at(method, image, params, SEED, correction(image) if method.learns_from_corrections else None)


def correction(image: np.ndarray) -> np.ndarray:
    """Return what a person may have drawn: a corner is background, the middle an object if of another colour."""
    drawn = np.full(image.shape[:2], 255, np.uint8)
    height, width = drawn.shape
    drawn[: min(8, height), : min(8, width)] = 0
    middle = np.s_[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
    if min(height, width) > 20 and np.abs(image[middle].mean((0, 1)) - image[:8, :8].mean((0, 1))).max() > 40:
        drawn[middle] = 1
    return drawn
