"""Three images of cell nuclei with their truth, two of one size and one of another: photographs, or drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.shared_data import SHARED_DATA

SIZES = ((320, 256), (320, 256), (256, 256))  # (width, height) in px


def nuclei() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of image uint8 (H, W, 3) and truth bool (H, W): photographs where they lie beside this checkout."""
    folder = SHARED_DATA / "nuclei"
    unused = [(_size(path), path) for path in sorted((folder / "images").glob("*.png"))]
    pairs = []
    for size in SIZES:
        path = next((path for found, path in unused if found == size), None)
        if path is None:
            return [drawn_nuclei(*size, seed) for seed, size in enumerate(SIZES)]
        unused.remove((size, path))
        pairs.append((_pixels(path, "RGB"), _pixels(folder / "truth" / path.name, "L") > 127))
    return pairs


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _pixels(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


def drawn_nuclei(width: int, height: int, seed: int = 0, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of bright, blurred ellipses on a dark, noisy background, and its truth."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    distance = np.full((height, width), np.inf)  # from the centre of the nearest ellipse; 1 on its border
    for _ in range(count):
        along, across = rng.uniform(9, 18, 2)
        angle = rng.uniform(0, np.pi)
        y, x = rows - rng.uniform(0, height), columns - rng.uniform(0, width)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        distance = np.minimum(distance, np.hypot(u / along, v / across))
    level = 20 + 160 * np.clip(3 - 2.5 * distance, 0, 1)[..., None] * (0.9, 0.8, 1.0)
    image = level + rng.normal(0, 6, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), distance <= 1
