"""Superpixels cover the image, follow its edges and know their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from engine.labelling.base import shrink
from engine.labelling.cues.features import to_lab
from engine.labelling.cues.superpixels import describe, find_superpixels


def test_neighbours_means_and_border_of_four_quarters() -> None:
    labels = np.kron([[0, 1], [2, 3]], np.ones((4, 6), int)).astype(np.int32)
    image = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8)[labels]
    found = describe(labels, to_lab(image))
    assert found.neighbours.tolist() == (
        np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]]).astype(bool).tolist()
    )
    assert found.areas.tolist() == [24] * 4
    assert found.at_border.all()
    np.testing.assert_allclose(found.colours[:2], [[0, 0, 0], [100, 0, 0]], atol=0.1)
    np.testing.assert_allclose(found.centres[0], [1.5 / 7, 2.5 / 11], atol=1e-6)


@pytest.mark.parametrize("count", [100, 600])
def test_a_photograph_is_covered_by_about_as_many_as_asked_for(count: int) -> None:
    image = shrink(data.astronaut(), 256)
    found = find_superpixels(image, count)
    assert found.labels.shape == image.shape[:2]
    assert np.unique(found.labels).tolist() == list(range(len(found.areas)))
    assert found.areas.sum() == found.labels.size
    assert 0.7 * count < len(found.areas) < 1.3 * count


def test_superpixels_do_not_cross_a_strong_edge() -> None:
    image = np.zeros((80, 120, 3), np.uint8)
    image[20:60, 37:90] = (240, 80, 30)
    found = find_superpixels(image, 150)
    inside = image[..., 0] > 0
    share = np.bincount(found.labels[inside], minlength=len(found.areas)) / found.areas
    assert (np.minimum(share, 1 - share) * found.areas).sum() < 0.02 * image[..., 0].size


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 2), (5, 400)])
def test_images_too_thin_for_a_grid_of_seeds_are_tiled(shape: tuple[int, int]) -> None:
    found = find_superpixels(np.zeros((*shape, 3), np.uint8), 200)
    assert found.labels.shape == shape
    assert np.unique(found.labels).tolist() == list(range(len(found.areas)))
