"""Drawn images of seven kinds with their truth, for tests and benchmarks: does a recipe hold on other images?

The strength of `lines`, the uneven background of `threshold` and, among others, the exponents of `auto` were chosen on
them (`python -m benchmarks.labels kinds`), so their pixels must not change. Each kind is a function of an index alone
and returns image, RGB uint8 (192, 256, 3), and truth, bool (192, 256). Every kind has what misleads in practice: uneven
light, texture, stains, hairs, shadows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from engine.datasets.sample_grounds import fractal
from engine.imaging import codec

SHAPE = (192, 256)
COUNT = 12
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
FINE = 4
"""Lines and outlines are drawn this many times larger and averaged down, as a lens would."""

Drawn = tuple[np.ndarray, np.ndarray]


def cracks(index: int) -> Drawn:
    """Return thin dark cracks, 1 to 4 px wide, in unevenly lit concrete with pores and stains that are no cracks."""
    rng = _rng("cracks", index)
    grey = 150 + 22 * (_cloud(40, rng) - 0.5) + 14 * (_cloud(4, rng) - 0.5) + _shade(rng, 45)
    stain = np.clip(_cloud(60, rng) - 0.6, 0, 1)
    grey -= 60 * stain
    for _ in range(40):
        grey -= 25 * _disc(rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1]), rng.uniform(0.5, 1.3))
    cover = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        start = np.array([rng.uniform(10, SHAPE[0] - 10), 0.0])
        cover = np.maximum(cover, _crack(start, rng.uniform(-0.6, 0.6), rng.uniform(1.2, 3.2), 270, rng))
    grey = grey * (1 - cover * rng.uniform(0.3, 0.55))
    image = grey[..., None] * np.array([1.0, 0.98, 0.94]) + rng.normal(0, 4, (*SHAPE, 1))
    return _image(image), cover >= 0.5


def lesions(index: int) -> Drawn:
    """Return a mottled brown lesion with a soft, ragged outline on skin, under dark hairs and dark corners."""
    rng = _rng("lesions", index)
    skin = np.array([rng.uniform(195, 230), rng.uniform(150, 180), rng.uniform(125, 160)])
    image = skin + 16 * (_cloud(12, rng) - 0.5)[..., None] + _shade(rng, 20)[..., None]
    centre = rng.uniform(80, 112), rng.uniform(100, 156)
    cover = _blob(centre, rng.uniform(32, 58), 0.22, rng)
    soft = cv2.GaussianBlur(cover, (0, 0), rng.uniform(1.5, 4))[..., None]
    brown = skin * np.array([0.55, 0.45, 0.42]) * (0.75 + 0.5 * _cloud(18, rng))[..., None]
    image = image * (1 - soft) + brown * soft
    for _ in range(int(rng.integers(0, 9))):
        start = np.array([rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1])])
        hair = _line(_wander(start, rng.uniform(0, 2 * np.pi), 0.05, 140, rng), 1.4)
        image = image * (1 - 0.7 * hair[..., None])
    if rng.random() < 0.4:
        away = np.hypot((ROWS - 96) / 118, (COLUMNS - 128) / 150)
        image = image * np.clip((1.04 - away) * 9, 0.08, 1)[..., None]
    return _image(image + rng.normal(0, 3, image.shape)), cover >= 0.5


def animals(index: int) -> Drawn:
    """Return one to three four-legged, patchy animals with shadows on grass."""
    rng = _rng("animals", index)
    blades = cv2.GaussianBlur(rng.normal(0, 1, SHAPE).astype(np.float32), (0, 0), 0.8, sigmaY=3.0)
    light = 0.75 + 0.35 * _cloud(45, rng) + 0.6 * blades
    image = np.array([88.0, 128.0, 52.0]) * light[..., None]
    image += np.array([45.0, 30.0, 5.0]) * np.clip(_cloud(30, rng) - 0.55, 0, 1)[..., None] * 3
    truth = np.zeros(SHAPE, bool)
    coats = ((215, 205, 190), (120, 72, 40), (50, 46, 44), (170, 130, 85))
    for _ in range(int(rng.integers(1, 4))):
        size, facing = rng.uniform(22, 38), rng.choice([-1, 1])
        row, column = rng.uniform(60, 140), rng.uniform(50, 206)
        shadow = cv2.GaussianBlur(_ellipse(row + size * 0.95, column + 4, size * 1.2, size * 0.18, 0), (0, 0), 2)
        image = image * (1 - 0.5 * shadow[..., None])
        cover = _animal(row, column, size, facing)
        coat = np.array(coats[int(rng.integers(4))], np.float32)
        other = np.array(coats[int(rng.integers(4))], np.float32)
        patch = (_cloud(20, rng) > 0.6)[..., None]
        fur = np.where(patch, other, coat) * (0.85 + 0.3 * _cloud(5, rng))[..., None]
        fur = fur * (1.15 - 0.35 * np.clip((ROWS - row + size) / (2 * size), 0, 1))[..., None]
        image = image * (1 - cover[..., None]) + fur * cover[..., None]
        truth |= cover >= 0.5
    return _image(image + rng.normal(0, 5, image.shape)), truth


def cells(index: int) -> Drawn:
    """Return 20 to 60 touching cells of uneven brightness, light on a dark, shaded background or stained on light."""
    rng = _rng("cells", index)
    cover, bright = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(20, 61))):
        row, column, radius = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1]), rng.uniform(6, 12)
        cell = _blob((row, column), radius, 0.08, rng)
        bright = np.where(cell > cover, rng.uniform(0.35, 1.0) * cell, bright)
        cover = np.maximum(cover, cell)
    texture = bright * (0.8 + 0.4 * _cloud(3, rng))
    texture = cv2.GaussianBlur(texture, (0, 0), 1.0)[..., None]
    if index % 2:
        image = np.array([232.0, 222.0, 230.0]) + 0.6 * _shade(rng, 40)[..., None]
        image = image * (1 - texture * np.array([0.55, 0.75, 0.35]))
    else:
        background = 22 + 0.5 * np.clip(_shade(rng, 40), -30, None)[..., None]
        image = background + 150 * texture * np.ones(3)
    grain = rng.normal(0, 3, (*SHAPE, 1))
    return _image(image + grain), cover >= 0.5


def vessels(index: int) -> Drawn:
    """Return a branching tree of dark vessels, 1 to 6 px wide, on an orange disc that is brighter on one side."""
    rng = _rng("vessels", index)
    away = np.hypot(ROWS - 96, COLUMNS - 128)
    inside = np.clip((94 - away) / 2, 0, 1)
    tone = 0.85 + 0.3 * _cloud(50, rng) + _shade(rng, 0.25)
    cover = np.zeros(SHAPE, np.float32)
    root = np.array([96 + rng.uniform(-10, 10), 70.0])
    for angle in (-1.2, -0.5, 0.4, 1.1):
        cover = np.maximum(cover, _branches(root, angle + rng.uniform(-0.2, 0.2), rng.uniform(3.5, 5.5), 3, rng))
    spot = np.exp(-((ROWS - root[0]) ** 2 + (COLUMNS - root[1]) ** 2) / (2 * 11**2))
    image = np.array([200.0, 105.0, 50.0]) * tone[..., None] + np.array([55.0, 90.0, 70.0]) * spot[..., None]
    image = image * (1 - cover[..., None] * np.array([0.25, 0.5, 0.4])) * inside[..., None]
    return _image(image + rng.normal(0, 3, image.shape)), (cover >= 0.5) & (inside > 0.5)


def scratches(index: int) -> Drawn:
    """Return a few light scratches and dark pits on brushed metal under a band of glare."""
    rng = _rng("scratches", index)
    brushed = cv2.GaussianBlur(rng.normal(0, 1, SHAPE).astype(np.float32), (0, 0), 9, sigmaY=0.6)
    glare = np.exp(-(((COLUMNS - rng.uniform(40, 216)) / 55) ** 2))
    grey = 105 + 60 * brushed + 55 * glare
    light, dark = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(1, 5))):
        start = np.array([rng.uniform(20, 172), rng.uniform(20, 236)])
        light = np.maximum(light, _line(_wander(start, rng.uniform(0, 2 * np.pi), 0.03, 70, rng), rng.uniform(1.5, 3)))
    for _ in range(int(rng.integers(1, 5))):
        dark = np.maximum(dark, _blob((rng.uniform(15, 177), rng.uniform(15, 241)), rng.uniform(3, 8), 0.2, rng))
    grey = grey * (1 - 0.6 * dark) + 75 * light
    image = grey[..., None] * np.array([0.96, 1.0, 1.04]) + rng.normal(0, 4, (*SHAPE, 1))
    return _image(image), np.maximum(light, dark) >= 0.5


def leaves(index: int) -> Drawn:
    """Return green leaves on brown soil of the same lightness, so that only colour separates them."""
    rng = _rng("leaves", index)
    crumbs = _cloud(6, rng)[..., None]
    image = np.array([120.0, 84.0, 58.0]) * (0.55 + 0.9 * crumbs) + _shade(rng, 20)[..., None]
    cover = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(2, 8))):
        row, column, turn = rng.uniform(30, 162), rng.uniform(30, 226), rng.uniform(0, 180)
        length = rng.uniform(20, 38)
        leaf = _ellipse(row, column, length, length * rng.uniform(0.35, 0.6), turn)
        along = np.array([np.sin(np.radians(turn)), np.cos(np.radians(turn))])
        vein = _line(np.array([[row, column] - along * length, [row, column] + along * length]), 1.5)
        green = np.array([66.0, 104.0, 48.0]) * rng.uniform(0.8, 1.2) * (0.8 + 0.4 * _cloud(10, rng))[..., None]
        green = green + 25 * vein[..., None]
        image = image * (1 - leaf[..., None]) + green * leaf[..., None]
        cover = np.maximum(cover, leaf)
    return _image(image + rng.normal(0, 5, image.shape)), cover >= 0.5


KINDS: dict[str, Callable[[int], Drawn]] = {
    kind.__name__: kind for kind in (animals, cells, cracks, leaves, lesions, scratches, vessels)
}


def drawn(kind: str, count: int = COUNT) -> Iterator[Drawn]:
    """Yield the first `count` images of a kind with their truth."""
    return (KINDS[kind](index) for index in range(count))


def _rng(kind: str, index: int) -> np.random.Generator:
    return np.random.default_rng([index, *kind.encode()])


def _shade(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Return light that falls off to one side, (H, W), from -strength to strength."""
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.sin(angle) * (ROWS / SHAPE[0] - 0.5) + np.cos(angle) * (COLUMNS / SHAPE[1] - 0.5)
    return strength * slope / np.abs(slope).max()


def _cloud(cell_px: float, rng: np.random.Generator) -> np.ndarray:
    """Return mottled noise (H, W) in [0, 1] whose coarsest spots are about `cell_px` wide."""
    noise = fractal(SHAPE, (cell_px, cell_px), rng)
    return (noise - noise.min()) / (noise.max() - noise.min())


def _disc(row: float, column: float, radius: float) -> np.ndarray:
    return np.clip(radius + 0.5 - np.hypot(ROWS - row, COLUMNS - column), 0, 1)


def _ellipse(row: float, column: float, along: float, across: float, degrees: float) -> np.ndarray:
    canvas = np.zeros((SHAPE[0] * FINE, SHAPE[1] * FINE), np.uint8)
    centre, axes = (round(column * FINE), round(row * FINE)), (round(along * FINE), max(1, round(across * FINE)))
    cv2.ellipse(canvas, centre, axes, degrees, 0, 360, 255, -1)
    return _averaged(canvas)


def _blob(centre: tuple[float, float], radius: float, ragged: float, rng: np.random.Generator) -> np.ndarray:
    """Return the cover of a round shape whose outline strays from `radius` by about the share `ragged`."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    out = np.ones_like(angles)
    for wave in range(2, 9):
        out += ragged * rng.normal(0, 1.2 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    points = np.stack([centre[1] + radius * out * np.cos(angles), centre[0] + radius * out * np.sin(angles)], 1)
    canvas = np.zeros((SHAPE[0] * FINE, SHAPE[1] * FINE), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points * FINE).astype(np.int32)], 255)
    return _averaged(canvas)


def _animal(row: float, column: float, size: float, facing: int) -> np.ndarray:
    head = column + facing * size * 1.05
    parts = [
        _ellipse(row, column, size, size * 0.45, 0),
        _ellipse(row - size * 0.35, head, size * 0.32, size * 0.22, facing * 25),
        _line(np.array([[row - size * 0.1, column + facing * size * 0.7], [row - size * 0.35, head]]), size * 0.3),
        _line(np.array([[row, column - facing * size], [row + size * 0.35, column - facing * size * 1.15]]), 2.5),
    ]
    for leg in (-0.7, -0.45, 0.45, 0.7):
        points = np.array([[row, column + leg * size], [row + size * 0.95, column + leg * size]])
        parts.append(_line(points, size * 0.14))
    return np.maximum.reduce(parts)


def _wander(
    start: np.ndarray, angle: float, turn: float, length: float, rng: np.random.Generator, jag: float = 0.0
) -> np.ndarray:
    """Return points (N, 2), row and column, 3 px apart, of a path that bends by `turn` and jerks by `jag` (radians)."""
    steps = max(2, int(length / 3))
    angles = angle + np.cumsum(rng.normal(0, turn, steps)) + rng.normal(0, jag, steps)
    return start + np.cumsum(3 * np.stack([np.sin(angles), np.cos(angles)], 1), axis=0)


def _crack(start: np.ndarray, angle: float, width: float, length: float, rng: np.random.Generator) -> np.ndarray:
    path = _wander(start, angle, 0.06, length, rng, jag=0.5)
    cover = _line(path, width)
    for at in rng.choice(len(path), 2):
        branch = _wander(path[at], angle + rng.choice([-1, 1]) * 0.9, 0.06, length / 4, rng, jag=0.5)
        cover = np.maximum(cover, _line(branch, max(1.0, width * 0.6)))
    return cover


def _branches(start: np.ndarray, angle: float, width: float, depth: int, rng: np.random.Generator) -> np.ndarray:
    path = _wander(start, angle, 0.09, 55, rng)
    cover = _line(path, width)
    if depth > 1:
        for turn in (-0.5, 0.45):
            cover = np.maximum(cover, _branches(path[-1], angle + turn, max(1.2, width * 0.62), depth - 1, rng))
    return cover


def _line(points: np.ndarray, width: float) -> np.ndarray:
    canvas = np.zeros((SHAPE[0] * FINE, SHAPE[1] * FINE), np.uint8)
    corners = np.rint(points[:, ::-1] * FINE).astype(np.int32)
    cv2.polylines(canvas, [corners], False, 255, max(1, round(width * FINE)))
    return _averaged(canvas)


def _averaged(canvas: np.ndarray) -> np.ndarray:
    return cv2.resize(canvas, SHAPE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _image(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def write(folder: Path, count: int) -> None:
    """Write each kind as <folder>/<kind>/images/NN.png and truth/NN.png (0 and 255)."""
    for kind in KINDS:
        for part in ("images", "truth"):
            (folder / kind / part).mkdir(parents=True, exist_ok=True)
        for index, (image, truth) in enumerate(drawn(kind, count)):
            (folder / kind / "images" / f"{index:02d}.png").write_bytes(codec.encode_png(image))
            (folder / kind / "truth" / f"{index:02d}.png").write_bytes(codec.encode_png(truth.astype(np.uint8) * 255))
