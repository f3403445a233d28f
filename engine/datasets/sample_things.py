"""Things that lie on the grounds of the drawn sample set: outlines, surfaces, and the litter between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.datasets.sample_grounds import fractal, noise


@dataclass(frozen=True)
class Thing:
    """One object: where it covers the ground, in [0, 1], how high its surface stands, in [0, 1], and its centre."""

    cover: np.ndarray
    height: np.ndarray
    centre: tuple[float, float]
    radius_px: float


def draw_thing(
    shape: tuple[int, int], centre: tuple[float, float], radius_px: float, rng: np.random.Generator
) -> Thing:
    """Return a thing of a random kind, about `radius_px` from its centre (down, across) to its rim."""
    outline = OUTLINES[rng.integers(len(OUTLINES))]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    y, x = (y - centre[0]) / radius_px, (x - centre[1]) / radius_px
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = outline(along, across, rng)  # 1 at the core, 0 at the rim, negative outside
    cover = np.clip(inside * radius_px + 0.5, 0, 1)
    depth = np.clip(inside / max(float(inside.max()), 1e-6), 0, 1)
    flatness = rng.choice([1.0, 2.5, 6.0])  # a ball, a cushion, a slab
    height = np.sqrt(1 - (1 - np.clip(depth * flatness, 0, 1)) ** 2)
    return Thing(cover, height, centre, radius_px)


def _round(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 1 - np.hypot(along, across / rng.uniform(0.6, 1.0))


def _egg(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    narrowing = 1 - rng.uniform(0.15, 0.35) * along
    return 1 - np.hypot(along, across / (0.72 * np.clip(narrowing, 0.3, 2)))


def _box(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    half, corner = (0.85, rng.uniform(0.4, 0.8)), rng.uniform(0.1, 0.3)
    out = np.hypot(np.maximum(np.abs(along) - half[0] + corner, 0), np.maximum(np.abs(across) - half[1] + corner, 0))
    within = np.minimum(np.maximum(np.abs(along) - half[0] + corner, np.abs(across) - half[1] + corner), 0)
    return corner - out - within


def _pebble(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = np.arctan2(across, along)
    rim = sum(rng.uniform(-0.22, 0.22) / wave * np.cos(wave * turn + rng.uniform(0, 6)) for wave in (2, 3, 4, 5, 6))
    return 0.85 + rim - np.hypot(along, across)


def _star(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = np.arctan2(across, along)
    points, sharp = rng.integers(5, 9), rng.uniform(0.12, 0.26)
    return 0.76 + sharp * np.cos(points * turn) - np.hypot(along, across)


def _leaf(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bend = across - rng.uniform(-0.3, 0.3) * along**2
    width = rng.uniform(0.38, 0.55) * np.clip(1 - along**2, 0, 1) * (1 - 0.35 * along)
    return np.where(np.abs(along) < 1, width - np.abs(bend), -1.0)


def _crescent(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    curve, thick = rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.3)
    spine = np.hypot(along, across + curve + 0.35)
    end = np.clip(np.abs(along) - 0.75, 0, None) * 1.6 + np.clip(-across - curve - 0.2, 0, None) * 4
    return thick * np.clip(1.25 - np.abs(along), 0.35, 1) - np.hypot(spine - curve - 0.35, end)


def _pan(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    dish = 0.62 - np.hypot(along + 0.3, across)
    reach = np.clip(along, 0.2, 1.05)
    handle = rng.uniform(0.09, 0.13) - np.hypot(along - reach, across)
    return np.maximum(dish, handle)


def _ring(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    thick = rng.uniform(0.2, 0.3)
    return thick - np.abs(np.hypot(along, across) - (0.98 - thick))


PAINTS = np.array(
    [
        *[(196, 52, 40), (222, 108, 36), (236, 184, 52), (242, 222, 140), (120, 152, 52), (58, 104, 58)],
        *[(38, 92, 108), (46, 74, 138), (98, 142, 190), (104, 62, 118), (178, 88, 122), (228, 160, 150)],
        *[(134, 84, 52), (176, 118, 74), (92, 54, 40), (238, 230, 214), (206, 196, 178), (150, 152, 156)],
        *[(78, 82, 88), (40, 40, 44), (168, 60, 70), (80, 168, 160), (214, 140, 100), (198, 206, 212)],
    ],
    dtype=np.float64,
)
"""Colours of fruit, pottery, cloth and steel: a room, not a traffic light."""

OUTLINES: tuple[Callable[..., np.ndarray], ...] = (
    *(_round, _egg, _box, _pebble, _pebble, _star, _leaf, _crescent, _pan, _ring),
)


def surface(
    thing: Thing, ground_colour: np.ndarray, light: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Return the lit surface of a thing, RGB float64 (H, W, 3): colour, pattern, shading, a highlight.

    `ground_colour` (3,) is what the colour must stand out from; `light` is the unit direction (down, across) in which
    shadows fall.
    """
    colour = _colour_unlike(ground_colour, rng)
    paint = colour + _pattern(thing, rng)[..., None] * rng.uniform(0.5, 1.0) * _second_colour(colour, rng)
    slope_down, slope_across = np.gradient(thing.height * thing.radius_px * 0.55)
    lit = (slope_down * light[0] + slope_across * light[1]) / np.sqrt(1 + slope_down**2 + slope_across**2)
    shading = 0.86 - 0.42 * lit + 0.14 * thing.height
    gloss = np.clip(-lit - 0.25, 0, 1) ** 3 * rng.choice([0.0, 90.0, 240.0])
    return paint * np.clip(shading, 0.25, 1.5)[..., None] + gloss[..., None]


def _colour_unlike(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a colour that things have, at some distance from the ground's: most stand out, a few hardly do."""
    wanted = rng.uniform(55, 140)
    candidates = np.clip(PAINTS[rng.permutation(len(PAINTS))[:9]] + rng.uniform(-22, 22, (9, 3)), 10, 245)
    distance = np.sqrt(((candidates - ground) ** 2).sum(axis=1))
    return candidates[np.argmin(np.abs(distance - wanted))]


def _second_colour(colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(colour + rng.uniform(-60, 60) + rng.uniform(-35, 35, 3), 10, 245) - colour


def _pattern(thing: Thing, rng: np.random.Generator) -> np.ndarray:
    """Return where the second colour shows, about 0 to 1, (H, W): plain, mottled, striped, speckled or shaded off."""
    shape = thing.cover.shape
    kind = rng.integers(7)
    if kind <= 2:
        return 0.25 * fractal(shape, (14, 14), rng, 3)
    if kind == 3:
        return np.clip(0.5 + 0.9 * fractal(shape, (18, 18), rng, 4), 0, 1)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    angle = rng.uniform(0, np.pi)
    across = (y - thing.centre[0]) * np.cos(angle) + (x - thing.centre[1]) * np.sin(angle)
    if kind == 4:
        return np.clip(3 * np.sin(across / rng.uniform(2.0, 4.5)) + 0.5, 0, 1)
    if kind == 5:
        return np.clip(6 * (noise(shape, (4, 4), rng) - 0.45), 0, 1)
    return np.clip(across / thing.radius_px + 0.5, 0, 1)


def litter(picture: np.ndarray, light: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Return the ground, RGB float64 (H, W, 3), with crumbs, scratches and stains that are no foreground."""
    shape = picture.shape[:2]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    for _ in range(rng.integers(0, 3)):
        spot = np.hypot((y - rng.uniform(0, shape[0])) / rng.uniform(18, 50), (x - rng.uniform(0, shape[1])) / 40)
        stain = np.clip(1.2 - spot + 0.35 * fractal(shape, (22, 22), rng, 3), 0, 1)
        picture = picture * (1 - rng.uniform(0.08, 0.24) * np.clip(stain * 2.5, 0, 1)[..., None])
    picture = picture.copy()
    for _ in range(rng.integers(6, 40)):
        _crumb(picture, light, rng)
    return picture


def _crumb(picture: np.ndarray, light: tuple[float, float], rng: np.random.Generator) -> None:
    """Draw one speck or splinter of 1 to 4 px into the picture, with a shadow of its own."""
    size = rng.uniform(0.8, 3.2)
    length = size * (rng.uniform(2, 5) if rng.random() < 0.25 else rng.uniform(1.0, 1.6))
    angle = rng.uniform(0, np.pi)
    reach = int(length) + 4
    top, left = rng.integers(reach, picture.shape[0] - reach), rng.integers(reach, picture.shape[1] - reach)
    window = picture[top - reach : top + reach + 1, left - reach : left + reach + 1]
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    colour = window.mean(axis=(0, 1)) + rng.uniform(-75, 75) + rng.uniform(-25, 25, 3)
    for offset, strength, paint in ((1.2, 0.35, np.zeros(3)), (0.0, 0.9, colour)):
        down, right = y - offset * light[0], x - offset * light[1]
        along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
        cover = strength * np.clip((1 - np.hypot(along / length, across / size)) * size + 0.5, 0, 1)[..., None]
        window[:] = window * (1 - cover) + paint * cover
