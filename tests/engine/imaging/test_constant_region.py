"""Finding what is the same in all images: corners and text of an endoscope, a scale bar; nothing where nothing is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from engine.imaging.constant_region import FEWEST_IMAGES, TooFewImages, constant_region

HEIGHT, WIDTH = 120, 160


def scenes(count=12):
    """Return pieces of a photograph, uint8 RGB, all different."""
    photograph, rng = data.astronaut(), np.random.default_rng(0)
    found = []
    for _ in range(count):
        row, column = (int(rng.integers(512 - side)) for side in (HEIGHT, WIDTH))
        found.append(photograph[row : row + HEIGHT, column : column + WIDTH].copy())
    return found


def nuclei(seed):
    """Return a few bright spots on a dark, slightly noisy background."""
    rng = np.random.default_rng(seed)
    image = rng.normal(10, 2, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8)
    for _ in range(6):
        cv2.circle(image, (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT))), 7, 160, -1)
    return np.dstack([image] * 3)


def test_the_corners_of_an_endoscope_are_found_with_the_changing_text_in_them():
    inside = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(inside, (WIDTH // 2, HEIGHT // 2), 68, 1, -1)
    images = []
    for number, scene in enumerate(scenes()):
        scene[inside == 0] = np.random.default_rng(number).integers(0, 6)
        cv2.putText(scene, f"{number * 37:03d}", (2, 9), cv2.FONT_HERSHEY_PLAIN, 0.6, (255, 255, 255))
        images.append(scene)
    found = constant_region(images)
    assert found is not None
    outside = inside == 0
    assert (found & outside).sum() > 0.9 * outside.sum(), "the text is left out with the corner that it is in"
    assert (found & ~outside).sum() < 0.05 * (~outside).sum()


def test_a_scale_bar_is_found_and_little_beside_it():
    images = scenes()
    for image in images:
        image[108:112, 110:150] = 255
    found = constant_region(images)
    assert found is not None and found[108:112, 110:150].all()
    assert found.sum() < 3 * 4 * 40


def test_nothing_is_found_in_photographs_and_on_a_background_that_is_dark_in_all_images():
    assert constant_region(scenes()) is None
    assert constant_region([nuclei(seed) for seed in range(40)]) is None


def test_nothing_is_found_if_all_images_are_the_same():
    assert constant_region([scenes(1)[0]] * FEWEST_IMAGES) is None


def test_too_few_images_are_refused_with_their_number():
    with pytest.raises(TooFewImages, match=r"At least 8 images of one size are needed .* Got 3"):
        constant_region(scenes(3))
