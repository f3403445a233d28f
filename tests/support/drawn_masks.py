"""Masks to try an export on: those that break encoders, and real ones."""

from __future__ import annotations

import numpy as np
from skimage import data, filters, morphology, transform

from engine.datasets.truth_file import read_truth
from tests.support.shared_data import SHARED_DATA


def _frame() -> np.ndarray:
    """A frame in a frame, with two holes in the outer one and an island in one of them."""
    mask = np.zeros((60, 70), bool)
    mask[5:55, 5:65] = True
    mask[10:25, 10:30] = False
    mask[30:50, 35:60] = False
    mask[38:44, 42:50] = True
    return mask


def _one_pixel() -> np.ndarray:
    mask = np.zeros((6, 9), bool)
    mask[2, 3] = True
    return mask


def _corners() -> np.ndarray:
    mask = np.zeros((4, 5), bool)
    mask[0, 0] = mask[0, -1] = mask[-1, 0] = mask[-1, -1] = True
    return mask


ADVERSARIAL = {
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "one pixel": _one_pixel(),
    "corners": _corners(),
    "checkerboard": np.indices((9, 8)).sum(0) % 2 == 0,
    "columns": np.indices((7, 8))[1] % 2 == 0,
    "holes": _frame(),
    "one row": np.array([[1, 1, 0, 1, 0, 0, 1]], bool),
    "one column": np.array([[1], [0], [0], [1], [1]], bool),
    "one pixel image": np.ones((1, 1), bool),
    "large": np.pad(np.ones((700, 900), bool), 40),
}


def drawn_classes(classes: int = 3, shape: tuple[int, int] = (90, 120)) -> np.ndarray:
    """Return classes 1 … K that touch, have holes and islands, and single pixels, uint8 (H, W)."""
    levels = filters.gaussian(np.random.default_rng(classes).random((classes + 1, *shape)), 4, channel_axis=0)
    drawn = np.argmax(levels, axis=0).astype(np.uint8)
    drawn[10:40, 10:50], drawn[14:36, 14:46], drawn[20:26, 20:30] = 1, 2, 1
    drawn[60, ::2], drawn[62, 5] = classes, 1
    return drawn


def real_masks(count: int = 6) -> list[np.ndarray]:
    """Truth masks of real photographs where they are beside this checkout; else of bundled ones, as smooth as truth."""
    files = sorted((SHARED_DATA / "ecssd" / "truth").glob("*.png"))[:count]
    files += sorted((SHARED_DATA / "nuclei" / "truth").glob("*.png"))[:count]
    if files:
        return [read_truth(file.read_bytes()).values >= 128 for file in files]
    coins, camera = transform.rescale(data.coins(), 2), data.camera() / 255
    return [_smooth(coins, 0.42), _smooth(-camera, -0.3), _smooth(data.astronaut()[..., 0] / 255, 0.5)]


def _smooth(levels: np.ndarray, threshold: float) -> np.ndarray:
    """Return where blurred `levels` are above `threshold`, without specks and ragged edges: bool (H, W)."""
    footprint = morphology.disk(3)
    return morphology.opening(morphology.closing(filters.gaussian(levels, 2) > threshold, footprint), footprint)
