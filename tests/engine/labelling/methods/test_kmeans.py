"""Regions of k-means that a person ticks by how dark they are."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.parameters import ParameterError, parse
from engine.labelling.base import draw, draw_mask
from engine.labelling.methods.kmeans import METHOD, KMeansParams
from tests.support.two_classes import scene

SIZE_PX = 96


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


def test_regions_ticked_as_two_classes_are_told_apart() -> None:
    # From dark to light: the ground, the bluish square, the bright disc.
    params = parse(KMeansParams, {"clusters": 3, "position_weight": 0, "ticked": "2 1=2"})
    for seed in (1, 2):
        image, classes = scene(SIZE_PX, seed)
        drawn = draw_mask(METHOD, image, params, 0)
        probability, likely = drawn.probability, drawn.classes
        assert likely is not None
        found = np.where(probability >= 0.5, likely, 0)
        assert dice(found == 1, classes == 1) > 0.9
        assert dice(found == 2, classes == 2) > 0.85


def test_ticks_replace_the_rule_for_foreground() -> None:
    image, classes = scene(SIZE_PX, 1)
    ground = parse(KMeansParams, {"clusters": 3, "position_weight": 0, "ticked": "0"})
    assert dice(draw(METHOD, image, ground, 0) >= 0.5, classes == 0) > 0.95
    assert not draw(METHOD, image, ground.model_copy(update={"ticked": "none"}), 0).any()


def test_an_image_of_fewer_colours_lacks_the_last_regions() -> None:
    image = np.full((40, 40, 3), 60, np.uint8)
    params = parse(KMeansParams, {"clusters": 4, "ticked": "0 3=2"})
    assert not draw(METHOD, image, params, 0).any()
    image[10:30, 10:30] = 200
    drawn = draw_mask(METHOD, image, params.model_copy(update={"smoothing_px": 0.0}), 0)
    probability, likely = drawn.probability, drawn.classes
    assert likely is not None
    assert (likely[probability >= 0.5] == 1).all()
    assert (probability >= 0.5)[0, 0]


def test_a_region_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"'ticked' names region 4\. There are 0 to 3\."):
        draw(METHOD, scene()[0], parse(KMeansParams, {"ticked": "4"}), 0)
