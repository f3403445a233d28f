"""Levels between light and dark, on values with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from engine.labelling.cues.levels import adapt, local_mean, local_median, minimum_error, otsu

RNG = np.random.default_rng(5)


def two_classes(rare_share: float, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Return values (200, 200) of two Gaussian classes with spreads of 5 and 8, and which are of the upper one."""
    upper = RNG.random((200, 200)) < rare_share
    values = np.where(upper, 100 + gap + RNG.normal(0, 8, upper.shape), 100 + RNG.normal(0, 5, upper.shape))
    return values.astype(np.float32), upper


@pytest.mark.parametrize("find", [otsu, minimum_error])
def test_the_level_lies_between_two_even_classes(find) -> None:
    values, upper = two_classes(0.4, 80)
    assert ((values > find(values)) == upper).mean() > 0.999


def test_minimum_error_finds_what_is_rare_where_otsu_cuts_through_the_ground() -> None:
    values, upper = two_classes(0.005, 50)
    assert 110 < minimum_error(values) < 140
    assert ((values > minimum_error(values)) == upper).mean() > 0.998
    assert otsu(values) < 110


@pytest.mark.parametrize("find", [otsu, minimum_error])
def test_values_that_are_all_the_same_have_no_level(find) -> None:
    assert find(np.full((20, 30), 7, np.float32)) is None


def test_two_values_are_parted_halfway() -> None:
    values = np.repeat(np.array([[10.0, 30.0]], np.float32), 50, axis=1)
    assert otsu(values) == pytest.approx(20, abs=0.2)


def test_a_level_adapts_to_dim_and_bright_objects() -> None:
    values = np.zeros((60, 120), np.float32)
    values[20:40, 20:40] = 60
    values[20:40, 80:100] = 200
    levels = adapt(values, 45, 8)
    assert levels[30, 30] == pytest.approx(30, abs=8)
    assert levels[30, 90] == pytest.approx(100, abs=10)


@pytest.mark.parametrize("radius", [0.1, 1.0, 7.0, 80.0])
def test_means_and_medians_of_a_plane_are_the_plane_wherever_the_frame_is_far(radius: float) -> None:
    plane = np.full((90, 130), 42, np.float32)
    np.testing.assert_allclose(local_mean(plane, radius), 42, atol=1e-3)
    np.testing.assert_allclose(local_median(plane, max(radius, 2)), 42, atol=1e-3)


def test_the_local_median_is_the_shading_without_the_objects() -> None:
    shading = np.repeat(np.linspace(50, 150, 200, dtype=np.float32)[None], 150, axis=0)
    image = shading.copy()
    image[40:110:35, 30:170:35] += 80
    image[41:111:35, 30:170:35] += 80
    assert abs(local_median(image, 15) - shading)[20:-20, 20:-20].max() < 3


def test_one_row_and_one_pixel_work() -> None:
    for shape in ((1, 1), (1, 50), (50, 1)):
        values = RNG.normal(size=shape).astype(np.float32)
        assert local_mean(values, 9).shape == local_median(values, 9).shape == adapt(values, 0, 9).shape == shape
