"""One number per pixel, on drawn images with a known answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.labelling.cues.channels import one_channel

RNG = np.random.default_rng(3)


def two_colours(ground: tuple[int, int, int], thing: tuple[int, int, int], flicker: float) -> tuple:
    """Return an image of a square on ground whose lightness flickers by `flicker` grey levels, and the square."""
    mask = np.zeros((60, 80), bool)
    mask[15:45, 20:50] = True
    image = (
        np.where(mask[..., None], thing, ground) + RNG.normal(0, flicker, (60, 80, 1)) + RNG.normal(0, 2, (60, 80, 3))
    )
    return np.clip(image, 0, 255).astype(np.uint8), mask


def overlap_of_ranges(values: np.ndarray, mask: np.ndarray) -> bool:
    low, high = sorted([values[mask], values[~mask]], key=np.mean)
    return bool(np.percentile(low, 98) > np.percentile(high, 2))


def test_the_best_mix_parts_colours_of_the_same_flickering_lightness() -> None:
    image, mask = two_colours((120, 85, 60), (75, 110, 55), 25)
    assert overlap_of_ranges(one_channel(image, "grey"), mask)
    assert not overlap_of_ranges(one_channel(image, "contrast"), mask)


def test_lighter_is_more_in_the_mix() -> None:
    image, mask = two_colours((90, 20, 20), (240, 240, 150), 3)
    values = one_channel(image, "contrast")
    assert values[mask].mean() > values[~mask].mean() + 50


@pytest.mark.parametrize(("ground", "thing"), [((40, 40, 40), (180, 180, 180)), ((230, 225, 228), (90, 60, 110))])
def test_where_grey_does_as_well_the_mix_is_grey(ground: tuple, thing: tuple) -> None:
    image, _ = two_colours(ground, thing, 6)
    np.testing.assert_array_equal(one_channel(image, "contrast"), one_channel(image, "grey"))


def test_the_camera_colours_and_colourfulness_are_what_they_are_called() -> None:
    image = np.array([[[10, 20, 70], [200, 200, 200]]], np.uint8)
    for channel, values in {"red": [10, 200], "green": [20, 200], "blue": [70, 200], "colourful": [60, 0]}.items():
        np.testing.assert_array_equal(one_channel(image, channel)[0], values)
    np.testing.assert_array_equal(one_channel(image, "grey"), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def test_an_image_of_one_colour_or_one_pixel_has_a_mix() -> None:
    for image in (np.full((9, 9, 3), 77, np.uint8), np.array([[[255, 0, 9]]], np.uint8)):
        assert one_channel(image, "contrast").shape == image.shape[:2]
