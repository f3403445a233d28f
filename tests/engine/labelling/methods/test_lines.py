"""Thin lines on drawn images with a known answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.imaging.metrics import dice
from engine.labelling.base import draw, find_method
from engine.labelling.methods.lines import ridges

METHOD = find_method("lines")


def mask_of(image: np.ndarray, **values: object) -> np.ndarray:
    return draw(METHOD, image, METHOD.params(**values), seed=0) >= 0.5


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def line(width: int, height_px: int = 160) -> np.ndarray:
    mask = np.zeros((height_px, 240), np.uint8)
    cv2.polylines(mask, [np.array([[0, 40], [80, 70], [150, 60], [239, 120]])], False, 1, width)
    return mask.astype(bool)


def concrete(seed: int = 4) -> np.ndarray:
    """Return noisy concrete (160, 240) under shading as deep as a crack."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (160, 240)), (0, 0), 2) * 22 + rng.normal(0, 6, (160, 240))
    return 140 + np.linspace(-45, 45, 240)[None] + np.linspace(20, -20, 160)[:, None] + texture


@pytest.mark.parametrize("width", [2, 3, 5, 7])
@pytest.mark.parametrize("contrast", [-50, 50])
def test_a_line_is_found_in_its_width_whether_dark_or_light(width: int, contrast: int) -> None:
    mask = line(width)
    assert dice(mask_of(grey(concrete() + contrast * mask)), mask) > 0.82


def test_ground_without_lines_stays_empty() -> None:
    assert mask_of(grey(concrete())).mean() < 0.002
    assert not mask_of(grey(128 + np.random.default_rng(1).normal(0, 30, (160, 240)))).any()


def test_a_step_of_light_a_disc_and_a_dark_rim_are_no_lines() -> None:
    rows, columns = np.mgrid[:160, :240]
    step = np.where(columns < 120, 60, 180)
    disc = np.where(np.hypot(rows - 80, columns - 120) < 40, 200, 50)
    rim = np.where(np.minimum.reduce([rows, columns, 159 - rows, 239 - columns]) < 5, 10, 150)
    for image in (step, disc, rim):
        assert not mask_of(grey(image)).any()


def test_the_stronger_kind_a_named_kind_or_both_are_taken() -> None:
    dark, light = line(3), line(3)[::-1]
    image = grey(120 - 90.0 * dark + 50 * (light & ~dark) + np.random.default_rng(0).normal(0, 2, dark.shape))
    for lines, expected in (("stronger", dark), ("darker", dark), ("lighter", light & ~dark), ("both", dark | light)):
        assert dice(mask_of(image, lines=lines), expected) > 0.8, lines


def test_what_is_too_wide_or_too_short_is_left_out() -> None:
    image = np.full((160, 240), 150.0)
    image[20:140, 40:54] = 60
    image[70:73, 100:110] = 60
    image[80:83, 120:230] = 60
    mask = mask_of(grey(image), greatest_width_px=6)
    assert not mask[:, 30:115].any()
    assert mask[81, 130:220].all()
    assert mask_of(grey(image), greatest_width_px=6, least_length_px=5)[71, 102:108].all()


def test_a_spot_has_little_ridge_and_a_bar_much() -> None:
    spot, bar = np.zeros((61, 61), np.float32), np.zeros((61, 61), np.float32)
    cv2.circle(spot, (30, 30), 2, 100.0, -1)
    bar[28:33] = 100
    assert ridges(bar, 6)[30, 30] > 4 * ridges(spot, 6)[30, 30]
    np.testing.assert_allclose(ridges(bar.T.copy(), 6), ridges(bar, 6).T, rtol=1e-3, atol=1e-3)
