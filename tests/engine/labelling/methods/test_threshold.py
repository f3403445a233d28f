"""Objects against ground on drawn images with a known answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from engine.imaging.metrics import dice
from engine.labelling.base import draw, find_method
from engine.labelling.methods.threshold import ThresholdParams

METHOD = find_method("threshold")
PLAIN = {"smoothing_px": 0, "adaptation_radius_px": 0, "least_area_percent": 0, "greatest_hole_percent": 0}


def mask_of(image: np.ndarray, **values: object) -> np.ndarray:
    return draw(METHOD, image, METHOD.params(**values), seed=0) >= 0.5


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def square(ground: int, thing: int) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((40, 50), bool)
    mask[10:25, 12:34] = True
    return grey(np.where(mask, thing, ground)), mask


RAMP = grey(np.tile(np.arange(256), (20, 1)))


@pytest.mark.parametrize(("ground", "thing"), [(30, 200), (200, 30)])
@pytest.mark.parametrize("rule", ["minority", "border_contact"])
def test_the_object_is_found_whether_dark_or_light(ground: int, thing: int, rule: str) -> None:
    image, mask = square(ground, thing)
    np.testing.assert_array_equal(mask_of(image, foreground=rule, smoothing_px=0), mask)


def test_a_named_side_is_taken_even_if_it_is_the_ground() -> None:
    image, mask = square(30, 200)
    np.testing.assert_array_equal(mask_of(image, foreground="darker", smoothing_px=0), ~mask)
    np.testing.assert_array_equal(mask_of(image, foreground="lighter", smoothing_px=0), mask)


def test_softness_makes_values_near_the_level_uncertain_and_zero_makes_them_hard() -> None:
    soft = draw(METHOD, RAMP, METHOD.params(foreground="lighter", softness=20, **PLAIN), seed=0)
    hard = draw(METHOD, RAMP, METHOD.params(foreground="lighter", softness=0, **PLAIN), seed=0)
    assert set(np.unique(hard)) == {0, 1}
    assert (np.diff(soft[0]) >= 0).all()
    assert 10 < ((soft[0] > 0.1) & (soft[0] < 0.9)).sum() < 60
    np.testing.assert_array_equal(soft >= 0.5, hard >= 0.5)


def test_the_offset_moves_the_level() -> None:
    areas = [mask_of(RAMP, foreground="lighter", offset=offset, **PLAIN).sum() for offset in (-50, 0, 50)]
    assert areas[0] - areas[1] == areas[1] - areas[2] == 50 * 20


def shaded_cells() -> tuple[np.ndarray, np.ndarray]:
    """Return light discs, some dim, on a ground that rises by more than a dim disc stands out."""
    mask, light = np.zeros((160, 220), np.uint8), np.zeros((160, 220), np.float32)
    for index, (row, column) in enumerate((r, c) for r in (30, 80, 130) for c in (30, 85, 140, 195)):
        cv2.circle(mask, (column, row), 10, 1, -1)
        cv2.circle(light, (column, row), 10, 35.0 + 25 * (index % 3), -1)
    ground = np.linspace(30, 130, 220)[None]
    return grey(ground + light + np.random.default_rng(2).normal(0, 3, light.shape)), mask.astype(bool)


def test_uneven_ground_is_taken_away() -> None:
    image, mask = shaded_cells()
    assert dice(mask_of(image), mask) < 0.6
    assert dice(mask_of(image, ground="uneven", ground_radius_px=25), mask) > 0.95


def cracked_concrete() -> tuple[np.ndarray, np.ndarray]:
    """Return a dark crack, 3 px wide, across noisy concrete whose shading is as deep as the crack."""
    rng = np.random.default_rng(4)
    mask = np.zeros((160, 240), np.uint8)
    columns = np.arange(0, 240, 6)
    rows = 80 + np.cumsum(rng.normal(0, 3, len(columns)))
    cv2.polylines(mask, [np.rint(np.stack([columns, rows], 1)).astype(np.int32)], False, 1, 3)
    texture = cv2.GaussianBlur(rng.normal(0, 1, mask.shape), (0, 0), 2) * 22 + rng.normal(0, 6, mask.shape)
    shade = np.linspace(-45, 45, 240)[None] + np.linspace(20, -20, 160)[:, None]
    return grey(150 + shade + texture - 50 * mask), mask.astype(bool)


@pytest.mark.parametrize("level", ["otsu", "minimum_error"])
def test_a_crack_in_shaded_noisy_concrete_is_found_against_the_ground_nearby(level: str) -> None:
    image, mask = cracked_concrete()
    assert dice(mask_of(image), mask) < 0.2
    found = mask_of(image, ground="uneven", ground_radius_px=10, adaptation_radius_px=0, level=level)
    assert dice(found, mask) > 0.75


def test_the_coins_of_a_dim_photograph_are_counted() -> None:
    image = np.repeat(data.coins()[..., None], 3, axis=2)
    values = {"ground": "uneven", "level": "minimum_error", "least_area_percent": 0.2}
    assert cv2.connectedComponents(mask_of(image, **values).astype(np.uint8))[0] - 1 == 24


def test_touching_objects_are_parted_only_when_asked() -> None:
    canvas = np.full((80, 120), 20, np.float32)
    for column in (40, 72):
        cv2.circle(canvas, (column, 40), 18, 200.0, -1)
    objects = [
        cv2.connectedComponents(mask_of(grey(canvas), split_neck=neck).astype(np.uint8))[0] - 1 for neck in (0, 0.85)
    ]
    assert objects == [1, 2]


def test_sizes_holes_and_the_frame_are_minded() -> None:
    canvas = np.full((100, 160), 20, np.float32)
    for row, column, radius in ((50, 40, 20), (50, 100, 7), (15, 130, 2), (0, 80, 8)):
        cv2.circle(canvas, (column, row), radius, 200.0, -1)
    cv2.circle(canvas, (40, 50), 3, 20.0, -1)
    image = grey(canvas)
    kept = mask_of(image, least_area_percent=0.3, greatest_area_percent=5, drop_at_border=True)
    assert kept[50, 100]
    assert not kept[50, 25]
    assert not kept[15, 130]
    assert not kept[2, 80]
    assert mask_of(image, greatest_hole_percent=1)[50, 40]
    assert not mask_of(image, greatest_hole_percent=0)[50, 40]


def test_what_is_dropped_or_parted_is_surely_ground_and_what_is_filled_surely_object() -> None:
    image, _ = square(30, 200)
    image[15:18, 20:23] = 30
    soft = {"softness": 64, "smoothing_px": 0, "adaptation_radius_px": 0}
    filled = draw(METHOD, image, METHOD.params(greatest_hole_percent=1, **soft), seed=0)
    dropped = draw(METHOD, image, METHOD.params(greatest_area_percent=0.1, **soft), seed=0)
    assert (filled[15:18, 20:23] == 1).all()
    assert (dropped[10:25, 12:34] < 0.5).all()


def test_lengths_are_in_pixels_so_that_previews_scale_them() -> None:
    units = {name: field.get("unit") for name, field in ThresholdParams.model_json_schema()["properties"].items()}
    assert {name for name, unit in units.items() if name.endswith("_px")} == {
        name for name, unit in units.items() if unit == "px"
    }
