"""Textured grounds for the drawn sample set: what the things in it lie on.

Everything is computed in float64: a difference in the last bit between two machines then practically never reaches
the 8 bits of the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Ground = Callable[[tuple[int, int], np.random.Generator], np.ndarray]


def noise(shape: tuple[int, int], cell_px: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Return smooth random values in [-1, 1], float64 (H, W), that change over about `cell_px` (down, across)."""
    rows, row = _lattice(shape[0], cell_px[0])
    columns, column = _lattice(shape[1], cell_px[1])
    grid = rng.uniform(-1, 1, (rows[-1] + 2, columns[-1] + 2))
    row, column = row[:, None], column[None, :]
    top = grid[rows][:, columns] * (1 - column) + grid[rows][:, columns + 1] * column
    bottom = grid[rows + 1][:, columns] * (1 - column) + grid[rows + 1][:, columns + 1] * column
    return top * (1 - row) + bottom * row


def fractal(
    shape: tuple[int, int], cell_px: tuple[float, float], rng: np.random.Generator, octaves: int = 4
) -> np.ndarray:
    """Return noise of several scales, each half as coarse and half as strong as the one before: float64 (H, W)."""
    total = np.zeros(shape)
    for octave in range(octaves):
        cells = (max(cell_px[0] / 2**octave, 1.0), max(cell_px[1] / 2**octave, 1.0))
        total += noise(shape, cells, rng) / 2**octave
    return total


def _lattice(length: int, cell_px: float) -> tuple[np.ndarray, np.ndarray]:
    position = np.arange(length) / cell_px
    index = np.floor(position).astype(int)
    fraction = position - index
    return index, fraction * fraction * (3 - 2 * fraction)


def tinted(tone: np.ndarray, dark: tuple[float, ...], light: tuple[float, ...]) -> np.ndarray:
    """Return RGB float64 (H, W, 3) between two colours: `tone` (H, W) is 0 for `dark` and 1 for `light`."""
    tone = tone[..., None]
    return np.asarray(dark) * (1 - tone) + np.asarray(light) * tone


def varied(colour: tuple[float, ...], rng: np.random.Generator, by: float = 14.0) -> tuple[float, ...]:
    """Return a colour near `colour`, so that no two grounds of a kind are alike."""
    return tuple(np.asarray(colour) + rng.uniform(-by, by) + rng.uniform(-by / 2, by / 2, 3))


def wood(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return planks with grain and dark seams."""
    turned = rng.random() < 0.4
    size = shape[::-1] if turned else shape
    plank_px = rng.uniform(34, 70)
    y = np.arange(size[0])[:, None] + rng.uniform(0, plank_px)
    plank = np.floor(y / plank_px).astype(int)
    shade = rng.uniform(-0.16, 0.16, plank.max() + 1)[plank]
    shift = rng.uniform(0, 40, plank.max() + 1)[plank]
    warp = fractal(size, (26, 190), rng, 3) + 0.012 * shift * y / plank_px
    rings = np.abs((warp * rng.uniform(2.5, 5.0) + shift) % 2 - 1)
    fibre = fractal(size, (1.6, 46), rng, 2)
    tone = 0.5 + 0.26 * (rings - 0.5) + 0.17 * fibre + shade
    seam = np.abs(y % plank_px - plank_px / 2) > plank_px / 2 - 1.1
    tone = np.where(seam, tone - 0.42, tone)
    dark, light = [((92, 58, 34), (190, 140, 92)), ((58, 44, 38), (134, 106, 86)), ((150, 120, 86), (224, 200, 160))][
        rng.integers(3)
    ]
    picture = tinted(tone, varied(dark, rng), varied(light, rng))
    return picture.swapaxes(0, 1) if turned else picture


def gravel(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return small stones, each with its own grey and a dark gap around it (Worley's cellular noise)."""
    cell_px = rng.uniform(7, 13)
    nearest, second, stone = _cells(shape, cell_px, rng)
    gap = np.clip((second - nearest) * 3.2, 0, 1)
    tone = 0.26 + gap * (0.24 + 0.34 * stone) + 0.10 * (0.6 - nearest) + 0.06 * fractal(shape, (3, 3), rng, 2)
    warmth = (stone * 7.13 % 1 - 0.5)[..., None] * np.array([26.0, 8.0, -20.0])
    return tinted(tone, varied((34, 32, 30), rng), varied((204, 198, 190), rng)) + warmth * gap[..., None]


def _cells(shape: tuple[int, int], cell_px: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return the distances to the nearest and second nearest of jittered points, in cells, and a number of the nearest.

    The number is random in [0, 1] and the same all over one cell.
    """
    rows, columns = (int(length / cell_px) + 4 for length in shape)
    jitter = rng.uniform(0.08, 0.92, (rows, columns, 2))
    number = rng.random((rows, columns))
    y = np.arange(shape[0])[:, None] / cell_px + 1
    x = np.arange(shape[1])[None, :] / cell_px + 1
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    nearest = np.full(shape, 9.0)
    second = np.full(shape, 9.0)
    stone = np.zeros(shape)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            point = jitter[row + dy, column + dx]
            distance = np.sqrt((row + dy + point[..., 0] - y) ** 2 + (column + dx + point[..., 1] - x) ** 2)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            stone = np.where(closer, number[row + dy, column + dx], stone)
            nearest = np.where(closer, distance, nearest)
    return nearest, second, stone


def fabric(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a woven cloth, plain or with a check of broad stripes, with a few soft folds."""
    thread_px = rng.uniform(2.4, 4.0)
    y, x = _turned(shape, rng.uniform(-0.5, 0.5))
    weave = np.sin(2 * np.pi * x / thread_px) * np.sin(2 * np.pi * y / thread_px)
    fold = fractal(shape, (60, 110), rng, 2)
    hue = rng.integers(4)
    dark = [(52, 66, 98), (120, 48, 50), (92, 98, 84), (150, 142, 128)][hue]
    light = [(108, 128, 166), (186, 104, 100), (160, 166, 146), (222, 216, 204)][hue]
    tone = 0.5 + 0.13 * weave + 0.16 * fold + 0.08 * fractal(shape, (2, 2), rng, 1)
    picture = tinted(tone, varied(dark, rng), varied(light, rng))
    if rng.random() < 0.45:
        period_px = rng.uniform(34, 60)
        stripes = 0.5 * ((x / period_px % 1 < 0.4) * 1.0 + (y / period_px % 1 < 0.4) * 1.0)
        picture = picture * (1 - 0.24 * stripes[..., None])
    return picture


def _turned(shape: tuple[int, int], angle: float) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    return y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)


def grass(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a lawn: short strokes in several directions, dry patches."""
    tone = np.full(shape, 0.5)
    for angle in rng.uniform(-0.9, 0.9, 4):
        y, x = _turned(shape, angle)
        field = noise((shape[0] * 2, shape[1] * 2), (9, 1.7), rng)
        tone = tone + 0.17 * field[(y % (shape[0] * 2)).astype(int), (x % (shape[1] * 2)).astype(int)]
    patches = fractal(shape, (70, 70), rng, 3)
    picture = tinted(tone + 0.08 * patches, varied((30, 52, 22), rng), varied((126, 156, 72), rng))
    dry = np.clip(patches, 0, 1)[..., None] * rng.uniform(0.1, 0.5)
    return picture * (1 - dry) + dry * np.array([150, 138, 84]) * (0.6 + 0.8 * tone[..., None])


def sand(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return sand with shallow ripples."""
    y, _ = _turned(shape, rng.uniform(-0.6, 0.6))
    ripple = np.sin(y / rng.uniform(4, 9) + 2.2 * fractal(shape, (50, 80), rng, 3))
    tone = 0.55 + 0.11 * ripple + 0.13 * noise(shape, (1.2, 1.2), rng) + 0.1 * fractal(shape, (90, 90), rng, 2)
    return tinted(tone, varied((138, 110, 78), rng), varied((226, 202, 160), rng))


def concrete(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a worn concrete or stone top with stains and fine cracks."""
    stains = fractal(shape, (80, 80), rng, 5)
    grain = noise(shape, (1.1, 1.1), rng)
    crack = np.abs(fractal(shape, (64, 64), rng, 4))
    tone = 0.55 + 0.18 * stains + 0.08 * grain - 0.26 * np.clip(1 - crack / 0.018, 0, 1)
    return tinted(tone, varied((74, 76, 80), rng), varied((192, 190, 186), rng))


def tiles(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return glazed tiles with grout between them."""
    y, x = _turned(shape, rng.uniform(-0.25, 0.25))
    side_px = rng.uniform(48, 84)
    y, x = y + 500, x + 500
    row, column = np.floor(y / side_px).astype(int), np.floor(x / side_px).astype(int)
    shade = rng.uniform(-0.1, 0.1, (40, 40))[row % 40, column % 40]
    edge = np.minimum.reduce([y % side_px, side_px - y % side_px, x % side_px, side_px - x % side_px])
    tone = 0.62 + shade + 0.07 * fractal(shape, (24, 24), rng, 3)
    dark, light = [
        ((70, 96, 104), (172, 196, 198)),
        ((130, 112, 92), (222, 208, 186)),
        ((70, 70, 74), (150, 150, 154)),
    ][rng.integers(3)]
    picture = tinted(tone, varied(dark, rng), varied(light, rng))
    grout = np.clip((2.2 - edge) / 1.2, 0, 1)[..., None]
    return picture * (1 - 0.45 * grout)


GROUNDS: tuple[Ground, ...] = (wood, gravel, fabric, grass, sand, concrete, tiles)
