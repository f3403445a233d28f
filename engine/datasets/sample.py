"""The drawn sample set: photograph-like scenes with truth, so that a fresh installation has something to work on.

Every scene is things on a textured ground, lit from one side: they are shaded and cast shadows, and there is litter
that is no foreground. Truth is the things. A scene depends on its index and the seed alone.
"""

from __future__ import annotations

import numpy as np

from engine.datasets.sample_grounds import GROUNDS, fractal
from engine.datasets.sample_things import Thing, draw_thing, litter, surface

COUNT = 60
HEIGHT_PX, WIDTH_PX = 240, 320
_SHAPE = (HEIGHT_PX, WIDTH_PX)


def name(index: int) -> str:
    """Return the file name under which a scene is shown, counted from 1."""
    return f"scene {index + 1:02d}.png"


def scene(index: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return one scene: image, RGB uint8 (240, 320, 3), and truth mask, bool (240, 320).

    The same index and seed give the same pixels on every machine with the pinned NumPy.
    """
    rng = np.random.default_rng([seed, index])
    ground = GROUNDS[index % len(GROUNDS)]
    direction = rng.uniform(0, 2 * np.pi)
    light = (float(np.sin(direction)), float(np.cos(direction)))
    picture = litter(ground(_SHAPE, rng), light, rng)
    ground_colour = picture.mean(axis=(0, 1))
    things = _arrange(rng)
    slant = rng.uniform(0.05, 0.16)
    for thing in things:
        picture = picture * (1 - _shadow(thing, light, slant, rng))[..., None]
    cover = np.zeros(_SHAPE)
    for thing in things:
        alpha = thing.cover[..., None]
        picture = picture * (1 - alpha) + surface(thing, ground_colour, light, rng) * alpha
        cover = np.maximum(cover, thing.cover)
    return _photograph(picture, light, rng), cover >= 0.5


def _arrange(rng: np.random.Generator) -> list[Thing]:
    """Return one to five things that hardly overlap: half of the scenes have one, large and not quite central."""
    count = int(rng.choice([1, 1, 1, 1, 2, 2, 3, 4, 5]))
    largest = {1: 92, 2: 68, 3: 56, 4: 50, 5: 44}[count]
    things: list[Thing] = []
    for _ in range(40):
        radius = rng.uniform(0.55, 1.0) * largest
        margin = radius * rng.choice([0.5, 0.9, 1.05], p=[0.1, 0.3, 0.6])
        centre = (rng.uniform(margin, HEIGHT_PX - margin), rng.uniform(margin, WIDTH_PX - margin))
        apart = (np.hypot(centre[0] - t.centre[0], centre[1] - t.centre[1]) / (radius + t.radius_px) for t in things)
        if all(distance > 0.92 for distance in apart):
            things.append(draw_thing(_SHAPE, centre, radius, rng))
        if len(things) == count:
            break
    return things


def _shadow(thing: Thing, light: tuple[float, float], slant: float, rng: np.random.Generator) -> np.ndarray:
    """Return how much light a thing takes from the ground, (H, W) in [0, 1]: a cast shadow and a dark rim."""
    reach = 2 + slant * thing.radius_px * 1.6
    cast = np.zeros(_SHAPE)
    for step in (0.4, 0.7, 1.0):
        cast = np.maximum(cast, _moved(thing.cover, light[0] * reach * step, light[1] * reach * step))
    soft = blurred(cast, rng.uniform(2.0, 5.0)) * rng.uniform(0.35, 0.6)
    return np.maximum(soft, 0.35 * blurred(thing.cover, 2.0))


def _moved(plane: np.ndarray, down_px: float, right_px: float) -> np.ndarray:
    """Return a plane moved by whole pixels; what comes in from outside is 0."""
    down, right = round(down_px), round(right_px)
    moved = np.zeros_like(plane)
    height, width = plane.shape
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = plane[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved


def blurred(plane: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return (H, W) or (H, W, C) under a Gaussian blur, in float64, edges repeated."""
    reach = max(1, int(3 * sigma_px + 0.5))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if each == axis else (0, 0) for each in range(plane.ndim)]
        padded = np.pad(plane, padding, mode="edge")
        length = plane.shape[axis]
        plane = sum(w * padded.take(range(k, k + length), axis) for k, w in enumerate(weights))
    return plane


def _photograph(picture: np.ndarray, light: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Return what a modest camera makes of it, uint8: uneven light, vignette, slight blur, colour cast, noise."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.float64)
    y, x = y / HEIGHT_PX - 0.5, x / WIDTH_PX - 0.5
    falloff = 1 - rng.uniform(0.1, 0.5) * (y * light[0] + x * light[1])
    vignette = 1 - rng.uniform(0.15, 0.55) * (y**2 + x**2)
    uneven = 1 + 0.06 * fractal(_SHAPE, (120, 120), rng, 2)
    cast = 1 + rng.uniform(-0.05, 0.05, 3)
    exposure = rng.uniform(0.85, 1.12)
    picture = blurred(picture, rng.uniform(0.45, 0.85))
    picture = picture * (falloff * vignette * uneven * exposure)[..., None] * cast
    grain = rng.normal(0, 1, picture.shape) * (rng.uniform(1.5, 4.0) + 0.01 * np.clip(picture, 0, 255))
    return np.rint(np.clip(picture + grain, 0, 255)).astype(np.uint8)
