"""Otsu's threshold on drawn images with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pseudo_labels.base import draw, find_method

METHOD = find_method("threshold")


def square(ground: int, thing: int) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((40, 50), bool)
    mask[10:25, 12:34] = True
    return np.repeat(np.where(mask, thing, ground).astype(np.uint8)[..., None], 3, axis=2), mask


@pytest.mark.parametrize(("ground", "thing"), [(30, 200), (200, 30)])
@pytest.mark.parametrize("rule", ["minority", "border_contact"])
def test_the_object_is_found_whether_dark_or_light(ground: int, thing: int, rule: str) -> None:
    image, mask = square(ground, thing)
    probability = draw(METHOD, image, METHOD.params(foreground=rule, smoothing_px=0), seed=0)
    np.testing.assert_array_equal(probability >= 0.5, mask)


def test_a_named_side_is_taken_even_if_it_is_the_ground() -> None:
    image, mask = square(30, 200)
    darker = draw(METHOD, image, METHOD.params(foreground="darker", smoothing_px=0), seed=0) >= 0.5
    lighter = draw(METHOD, image, METHOD.params(foreground="lighter", smoothing_px=0), seed=0) >= 0.5
    np.testing.assert_array_equal(darker, ~mask)
    np.testing.assert_array_equal(lighter, mask)


def test_softness_makes_values_near_the_level_uncertain_and_zero_makes_them_hard() -> None:
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (20, 1))[..., None], 3, axis=2)
    soft = draw(METHOD, ramp, METHOD.params(foreground="lighter", smoothing_px=0, softness=20), seed=0)
    hard = draw(METHOD, ramp, METHOD.params(foreground="lighter", smoothing_px=0, softness=0), seed=0)
    assert set(np.unique(hard)) == {0, 1}
    assert (np.diff(soft[0]) >= 0).all()
    assert 10 < ((soft[0] > 0.1) & (soft[0] < 0.9)).sum() < 60
    np.testing.assert_array_equal(soft >= 0.5, hard >= 0.5)


def test_the_offset_moves_the_level() -> None:
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (20, 1))[..., None], 3, axis=2)
    areas = [
        (draw(METHOD, ramp, METHOD.params(foreground="lighter", offset=offset), seed=0) >= 0.5).sum()
        for offset in (-50, 0, 50)
    ]
    assert areas[0] - areas[1] == areas[1] - areas[2] == 50 * 20
