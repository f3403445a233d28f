"""Things on a surface: what an even area surrounds, wherever in the image that area lies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.imaging import metrics
from engine.labelling.base import draw, find_method
from engine.labelling.methods.surface import enclosed, gradient, whole

METHOD = find_method("surface")


def table(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a grey table seen from above in a cluttered room, with a pan, two eggs and an arm on it; pan and eggs."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 256, (24, 32, 3), np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(image, (30, 40), (290, 200), (120, 125, 125), -1)
    things = np.zeros((240, 320), np.uint8)
    cv2.circle(things, (180, 110), 28, 1, -1)
    cv2.rectangle(things, (205, 106), (250, 114), 1, -1)
    image[things > 0] = (50, 55, 60)
    for centre in ((90, 90), (100, 150)):
        cv2.circle(things, centre, 8, 1, -1)
        cv2.circle(image, centre, 8, (235, 215, 190), -1)
    cv2.line(image, (120, 239), (135, 180), (200, 150, 130), 22)  # an arm that comes in over the image border
    image = cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 2, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), things > 0


@pytest.mark.parametrize("seed", range(3))
def test_things_on_the_table_are_found_and_the_room_and_the_arm_are_not(seed: int) -> None:
    image, things = table(seed)
    assert metrics.iou(draw(METHOD, image, METHOD.params(), seed=0) >= 0.5, things) > 0.75


def test_a_thing_cut_by_the_image_border_counts_up_to_the_contact_allowed() -> None:
    image = np.full((120, 160, 3), 128, np.uint8)
    cv2.circle(image, (5, 60), 30, (230, 60, 40), -1)
    cut = draw(METHOD, image, METHOD.params(border_contact=2), seed=0) >= 0.5
    assert cut[60, 15]
    assert not (draw(METHOD, image, METHOD.params(border_contact=0), seed=0) >= 0.5).any()


def test_least_and_greatest_area_are_kept() -> None:
    image, _ = table()
    found = draw(METHOD, image, METHOD.params(least_area_percent=2), seed=0) >= 0.5
    assert found[110, 180]
    assert not found[90, 90]
    found = draw(METHOD, image, METHOD.params(greatest_area_percent=1), seed=0) >= 0.5
    assert found[90, 90]
    assert not found[110, 180]


def test_more_agreement_never_finds_more() -> None:
    image, _ = table()
    areas = [(draw(METHOD, image, METHOD.params(agreement=a), seed=0) >= 0.5).sum() for a in (0.1, 0.33, 0.7, 1)]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] > 0


def test_the_gradient_is_in_lab_units_per_pixel() -> None:
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2) + 80
    middle = gradient(ramp, 1.0)[20:40, 20:80]
    assert 0.3 < middle.mean() < 0.5  # 255 grey values are 100 units of lightness


def test_a_surface_with_nothing_on_it_encloses_nothing() -> None:
    even = np.ones((60, 80), bool)
    assert not enclosed(even, METHOD.params()).any()
    assert not enclosed(~even, METHOD.params()).any()


def test_a_rim_becomes_the_whole_thing() -> None:
    rim = cv2.circle(np.zeros((80, 80), np.uint8), (40, 40), 20, 1, 4) > 0
    filled = cv2.circle(np.zeros((80, 80), np.uint8), (40, 40), 22, 1, -1) > 0
    assert metrics.iou(whole(rim), filled) > 0.8
