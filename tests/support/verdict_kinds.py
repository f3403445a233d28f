"""Drawn sets of twelve kinds to try the verdict on: six that label methods can do, six that they cannot.

Each kind is a function of an index alone and returns image, RGB uint8 (192, 256, 3), and truth, bool (192, 256), as in
`drawn_kinds`. What cannot be done is what people ask for all the same: a lesion of the colour of its tissue, one kind
of thing among many, an object that only its texture gives away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from tests.support.drawn_kinds import (
    COLUMNS,
    ROWS,
    SHAPE,
    Drawn,
    _blob,
    _cloud,
    _disc,
    _ellipse,
    _image,
    _line,
    _rng,
    _shade,
    _wander,
)

COUNT = 24


def coins(index: int) -> Drawn:
    """Return three to nine embossed coins of two metals on a woven cloth."""
    rng = _rng("coins", index)
    weave = np.sin(ROWS * 1.1) * np.sin(COLUMNS * 1.1)
    image = np.array([62.0, 66.0, 92.0]) + 6 * weave[..., None] + _shade(rng, 18)[..., None]
    cover = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(3, 10))):
        row, column, radius = rng.uniform(20, 172), rng.uniform(20, 236), rng.uniform(12, 21)
        coin = _disc(row, column, radius)
        metal = np.array([190.0, 184.0, 176.0]) if rng.random() < 0.5 else np.array([184.0, 128.0, 74.0])
        relief = 22 * (_cloud(5, rng) - 0.5) + 18 * (np.hypot(ROWS - row, COLUMNS - column) > radius - 3)
        image = image * (1 - coin[..., None]) + (metal + relief[..., None]) * coin[..., None]
        cover = np.maximum(cover, coin)
    return _image(image + rng.normal(0, 5, image.shape)), cover >= 0.5


def rods(index: int) -> Drawn:
    """Return 10 to 40 dark rods, as bacteria in phase contrast, on grey that is lighter on one side."""
    rng = _rng("rods", index)
    grey = 165 + _shade(rng, 30) + 8 * (_cloud(30, rng) - 0.5)
    cover = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(10, 41))):
        start = np.array([rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1])])
        rod = _wander(start, rng.uniform(0, 2 * np.pi), 0.05, rng.uniform(12, 26), rng)
        cover = np.maximum(cover, _line(rod, rng.uniform(4, 6.5)))
    halo = cv2.GaussianBlur(cover, (0, 0), 4) * (1 - cover)
    grey = grey * (1 - 0.55 * cv2.GaussianBlur(cover, (0, 0), 0.7)) + 30 * halo
    return _image(np.repeat(grey[..., None], 3, axis=2) + rng.normal(0, 5, (*SHAPE, 1))), cover >= 0.5


def flowers(index: int) -> Drawn:
    """Return one flower with a darker heart before out-of-focus leaves."""
    rng = _rng("flowers", index)
    image = np.array([48.0, 84.0, 44.0]) * (0.5 + 1.0 * _cloud(50, rng))[..., None] + 20 * _cloud(25, rng)[..., None]
    row, column, size = rng.uniform(70, 122), rng.uniform(80, 176), rng.uniform(26, 42)
    cover = np.zeros(SHAPE, np.float32)
    petals = int(rng.integers(5, 9))
    for angle in rng.uniform(0, 360) + np.arange(petals) * 360 / petals:
        along = size * 0.62 * np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        cover = np.maximum(cover, _ellipse(row + along[0], column + along[1], size * 0.62, size * 0.3, angle))
    colour = np.array([(226, 92, 130), (240, 220, 90), (232, 228, 236), (150, 90, 200)][int(rng.integers(4))], float)
    bloom = colour * (0.75 + 0.4 * _cloud(12, rng))[..., None]
    heart = _disc(row, column, size * 0.28)[..., None]
    bloom = bloom * (1 - heart) + np.array([120.0, 84.0, 30.0]) * heart
    cover = np.maximum(cover, heart[..., 0])
    image = image * (1 - cover[..., None]) + bloom * cover[..., None]
    return _image(image + rng.normal(0, 4, image.shape)), cover >= 0.5


def roots(index: int) -> Drawn:
    """Return pale branching roots, 2 to 4 px wide, in dark crumbly soil."""
    rng = _rng("roots", index)
    image = np.array([70.0, 54.0, 42.0]) * (0.6 + 0.8 * _cloud(7, rng))[..., None] + _shade(rng, 10)[..., None]
    cover = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        path = _wander(np.array([0.0, rng.uniform(30, 226)]), np.pi / 2, 0.1, 190, rng)
        cover = np.maximum(cover, _line(path, rng.uniform(2.5, 4)))
        for at in rng.choice(len(path), int(rng.integers(2, 6))):
            side = _wander(path[at], np.pi / 2 + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1), 0.12, 70, rng)
            cover = np.maximum(cover, _line(side, rng.uniform(1.8, 2.6)))
    image = image * (1 - cover[..., None]) + np.array([196.0, 176.0, 146.0]) * cover[..., None]
    return _image(image + rng.normal(0, 6, image.shape)), cover >= 0.5


def boats(index: int) -> Drawn:
    """Return two to eight light boats from above on rippled water with patches of glitter."""
    rng = _rng("boats", index)
    ripple = cv2.GaussianBlur(rng.normal(0, 1, SHAPE).astype(np.float32), (0, 0), 2.5, sigmaY=0.9)
    image = np.array([38.0, 74.0, 98.0]) + 45 * ripple[..., None] + _shade(rng, 16)[..., None]
    image = image + 26 * np.clip(_cloud(60, rng) - 0.6, 0, 1)[..., None]
    cover = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(2, 9))):
        row, column, turn = rng.uniform(14, 178), rng.uniform(14, 242), rng.uniform(0, 180)
        boat = _ellipse(row, column, rng.uniform(9, 16), rng.uniform(3.5, 5.5), turn)
        deck = np.array([225.0, 222.0, 214.0]) * rng.uniform(0.75, 1.05)
        image = image * (1 - boat[..., None]) + deck * boat[..., None]
        cover = np.maximum(cover, boat)
    return _image(image + rng.normal(0, 4, image.shape)), cover >= 0.5


def tablets(index: int) -> Drawn:
    """Return coloured tablets and capsules with shadows on a grey conveyor belt."""
    rng = _rng("tablets", index)
    image = np.array([128.0, 130.0, 132.0]) + 10 * (_cloud(4, rng) - 0.5)[..., None] + _shade(rng, 22)[..., None]
    cover, paint = np.zeros(SHAPE, np.float32), np.zeros((*SHAPE, 3))
    colours = ((214, 74, 66), (240, 236, 228), (70, 132, 206), (236, 190, 62))
    for _ in range(int(rng.integers(2, 8))):
        row, column, size = rng.uniform(24, 168), rng.uniform(24, 232), rng.uniform(10, 18)
        pill = _ellipse(row, column, size, size * rng.uniform(0.45, 1), rng.uniform(0, 180))
        shadow = np.roll(cv2.GaussianBlur(pill, (0, 0), 3), (4, 4), (0, 1))
        image = image * (1 - 0.35 * shadow[..., None])
        paint = np.where(pill[..., None] > 0, np.array(colours[int(rng.integers(4))], float), paint)
        cover = np.maximum(cover, pill)
    image = image * (1 - cover[..., None]) + paint * (0.9 + 0.15 * _cloud(20, rng))[..., None] * cover[..., None]
    return _image(image + rng.normal(0, 4, image.shape)), cover >= 0.5


def tubes(index: int) -> Drawn:
    """Return the round view into a tube with folds and highlights; truth is a bump of the colour of the wall."""
    rng = _rng("tubes", index)
    away = np.hypot(ROWS - 96, COLUMNS - 128)
    row, column = rng.uniform(60, 132), rng.uniform(80, 176)
    depth = np.hypot(ROWS - row, COLUMNS - column)
    image = np.array([196.0, 92.0, 74.0]) * (0.45 + 0.55 * np.clip(depth / 90, 0, 1))[..., None]
    image = image * (0.9 + 0.2 * _cloud(30, rng))[..., None]
    for _ in range(int(rng.integers(1, 4))):
        fold = np.exp(-(((depth - rng.uniform(30, 95)) / 4) ** 2))
        image = image * (1 - 0.25 * fold[..., None])
    bump = _blob((rng.uniform(50, 142), rng.uniform(70, 186)), rng.uniform(9, 17), 0.1, rng)
    image = image * (1 + 0.07 * cv2.GaussianBlur(bump, (0, 0), 2)[..., None])
    for _ in range(int(rng.integers(2, 9))):
        glint = _ellipse(rng.uniform(30, 162), rng.uniform(60, 196), rng.uniform(1, 4), 1.5, rng.uniform(0, 180))
        image = image * (1 - glint[..., None]) + 250 * glint[..., None]
    inside = np.clip((106 - away) / 2, 0, 1)[..., None]
    return _image(image * inside + 6 + rng.normal(0, 3, image.shape)), (bump >= 0.5) & (inside[..., 0] > 0.5)


def workbenches(index: int) -> Drawn:
    """Return a workbench that runs out of the picture, with tools, boxes and dark bolts; truth is the bolts alone."""
    rng = _rng("workbenches", index)
    image = np.array([84.0, 78.0, 72.0]) * (0.6 + 0.8 * _cloud(40, rng))[..., None]
    corners = np.array([[30, -20], [20 + rng.uniform(-15, 25), 276], [210, 276], [210, -20]]) + rng.uniform(-12, 12, 2)
    bench = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(bench, [np.rint(corners[:, ::-1]).astype(np.int32)], 1)
    wood = np.array([168.0, 138.0, 98.0]) * (0.85 + 0.3 * _cloud(60, rng))[..., None]
    image = np.where(bench[..., None] > 0, wood, image)
    for _ in range(int(rng.integers(6, 14))):
        row, column = rng.uniform(30, 186), rng.uniform(6, 250)
        if rng.random() < 0.5:
            thing = _ellipse(row, column, rng.uniform(12, 34), rng.uniform(4, 16), rng.uniform(0, 180))
        else:
            thing = _line(_wander(np.array([row, column]), rng.uniform(0, 6), 0.02, rng.uniform(30, 80), rng), 6)
        colour = rng.uniform(20, 235, 3)
        image = image * (1 - thing[..., None]) + colour * thing[..., None]
    truth = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(2, 6))):
        bolt = _disc(rng.uniform(50, 182), rng.uniform(12, 244), rng.uniform(3, 5))
        image = image * (1 - bolt[..., None]) + np.array([58.0, 60.0, 66.0]) * bolt[..., None]
        truth = np.maximum(truth, bolt)
    return _image(image + rng.normal(0, 4, image.shape)), truth >= 0.5


def camouflage(index: int) -> Drawn:
    """Return pebbles of all tones; truth is a fish of the same tones, whose pebbles only lie in another way."""
    rng = _rng("camouflage", index)
    pebbles = cv2.GaussianBlur(rng.normal(0, 1, SHAPE).astype(np.float32), (0, 0), 3)
    scales = cv2.GaussianBlur(rng.normal(0, 1, SHAPE).astype(np.float32), (0, 0), 5, sigmaY=1.8)
    row, column, turn = rng.uniform(60, 132), rng.uniform(80, 176), rng.uniform(0, 180)
    fish = _ellipse(row, column, rng.uniform(34, 52), rng.uniform(14, 22), turn)
    pattern = np.where(fish >= 0.5, scales / scales.std(), pebbles / pebbles.std())
    image = np.array([128.0, 118.0, 100.0]) + 28 * pattern[..., None] + _shade(rng, 14)[..., None]
    return _image(image + rng.normal(0, 4, image.shape)), fish >= 0.5


def screens(index: int) -> Drawn:
    """Return an evenly grey screen, darker towards its corners; truth is a stain of two grey levels."""
    rng = _rng("screens", index)
    away = np.hypot((ROWS - 96) / 96, (COLUMNS - 128) / 128)
    stain = _blob((rng.uniform(40, 152), rng.uniform(50, 206)), rng.uniform(12, 30), 0.2, rng)
    grey = 150 - 34 * away**2 + _shade(rng, 8) - 2 * cv2.GaussianBlur(stain, (0, 0), 5)
    image = grey[..., None] * np.array([0.98, 1.0, 1.01])
    return _image(image + rng.normal(0, 2.5, image.shape)), stain >= 0.5


def rooms(index: int) -> Drawn:
    """Return one room seen by a fixed camera at different hours; truth is a cat of about the colour of the carpet."""
    fixed, rng = np.random.default_rng(5), _rng("rooms", index)
    image = np.where((ROWS < 90)[..., None], np.array([186.0, 180.0, 168.0]), np.array([116.0, 100.0, 88.0]))
    image = image * (0.92 + 0.16 * _cloud(8, fixed))[..., None]
    for left, top, width, height, colour in (
        (20, 62, 92, 58, (152, 44, 40)),
        (176, 14, 52, 46, (214, 226, 238)),
        (206, 96, 34, 52, (70, 46, 28)),
    ):
        image[top : top + height, left : left + width] = colour
    row, column = rng.uniform(132, 172), rng.uniform(40, 190)
    cat = np.maximum(_ellipse(row, column, 15, 7, 0), _disc(row - 6, column + 14, 5))
    image = image * (1 - cat[..., None]) + np.array([100.0, 88.0, 80.0]) * cat[..., None]
    light = rng.uniform(0.7, 1.1) * (1 + 0.1 * _shade(rng, 1))[..., None]
    return _image(image * light + rng.normal(0, 5, image.shape)), cat >= 0.5


def scans(index: int) -> Drawn:
    """Return speckle in a fan on black, with layers, as of ultrasound; truth is a lump a little darker than that."""
    rng = _rng("scans", index)
    angle = np.arctan2(COLUMNS - 128, ROWS + 30)
    reach = np.hypot(ROWS + 30, COLUMNS - 128)
    inside = (np.abs(angle) < 0.62) & (reach > 45) & (reach < 215)
    layers = 0.75 + 0.35 * np.sin(reach / rng.uniform(9, 16) + 3 * _cloud(50, rng))
    lump = _blob((rng.uniform(70, 140), rng.uniform(95, 161)), rng.uniform(10, 18), 0.15, rng)
    tone = 90 * layers * (0.6 + 0.8 * _cloud(30, rng)) * (1 - 0.2 * cv2.GaussianBlur(lump, (0, 0), 2))
    speckle = cv2.GaussianBlur(rng.rayleigh(0.8, SHAPE).astype(np.float32), (0, 0), 1)
    image = np.where(inside, tone * speckle, 0)[..., None] * np.ones(3)
    return _image(image + 5), (lump >= 0.5) & inside


DOABLE: tuple[Callable[[int], Drawn], ...] = (coins, rods, flowers, roots, boats, tablets)
HOPELESS: tuple[Callable[[int], Drawn], ...] = (tubes, workbenches, camouflage, screens, rooms, scans)
KINDS = {kind.__name__: kind for kind in (*DOABLE, *HOPELESS)}


def drawn(kind: str, count: int = COUNT) -> Iterator[Drawn]:
    """Yield the first `count` images of a kind with their truth."""
    return (KINDS[kind](index) for index in range(count))
