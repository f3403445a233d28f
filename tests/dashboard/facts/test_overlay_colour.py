"""The colour of masks that stands out most from a dataset's images."""

import numpy as np
import pytest

from dashboard.facts.overlay_colour import contrasting_colour
from dashboard.ui.palette import MASK_COLOURS


def even(*rgb: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-20, 21, (48, 64, 3))
    return np.clip(np.array(rgb) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("rgb", "unlike"), [((205, 110, 60), "orange"), ((230, 215, 80), "yellow"), ((40, 130, 240), "blue")]
)
def test_it_is_never_that_of_the_images(rgb, unlike):
    assert contrasting_colour([even(*rgb)], MASK_COLOURS) != unlike


def test_it_stands_out_from_all_of_several_surfaces_and_is_the_first_without_images():
    tissue_and_grass = [even(200, 120, 100), even(90, 140, 60)]
    assert contrasting_colour(tissue_and_grass, MASK_COLOURS) == "blue"
    assert contrasting_colour([], MASK_COLOURS) == "orange"
