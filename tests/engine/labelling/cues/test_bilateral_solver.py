"""The bilateral solver against its own equations, and on edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.imaging import metrics
from engine.labelling.cues.bilateral_solver import bilateral_grid, bilateral_solver


def scene() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:96, :128]
    mask = (rows - 48) ** 2 + (columns - 64) ** 2 < 28**2
    image = np.where(mask[..., None], (210, 90, 40), (50, 110, 150)) + np.random.default_rng(0).normal(
        0, 4, (96, 128, 3)
    )
    return np.clip(image, 0, 255).astype(np.uint8), mask


def test_a_target_without_detail_stays_as_it_is() -> None:
    image, mask = scene()
    for value in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(bilateral_solver(image, np.full(mask.shape, value)), value, atol=1e-4)


def test_each_side_of_an_edge_gets_its_own_mean() -> None:
    image, mask = scene()
    rough = np.clip(np.where(mask, 0.8, 0.2) + np.random.default_rng(1).normal(0, 0.2, mask.shape), 0, 1)
    smoothed = bilateral_solver(image, rough)
    assert smoothed[mask].std() < 0.05
    assert smoothed[~mask].std() < 0.05
    assert smoothed[mask].mean() > 0.7
    assert smoothed[~mask].mean() < 0.3


def test_an_outline_moves_to_the_edge_of_the_image() -> None:
    image, mask = scene()
    rough = cv2.boxFilter(np.roll(mask, 5, axis=1).astype(np.float32), -1, (9, 9))
    assert metrics.iou(bilateral_solver(image, rough) >= 0.5, mask) > metrics.iou(rough >= 0.5, mask) + 0.05


def test_a_pixel_that_is_not_trusted_takes_its_neighbours_value() -> None:
    image, mask = scene()
    target, confidence = mask.astype(np.float32), np.full(mask.shape, 0.999)
    target[40:56, 56:72], confidence[40:56, 56:72] = 0, 0
    assert bilateral_solver(image, target, confidence)[40:56, 56:72].min() > 0.8


def test_the_grid_links_cells_beside_each_other_and_no_others() -> None:
    image = np.zeros((1, 40, 3), np.uint8)
    image[:, 32:] = 255
    vertex, blur = bilateral_grid(image)
    assert vertex[[0, 15, 16, 31, 32]].tolist() == [0, 0, 1, 1, 2]  # 16 px a cell; the white one is far in luma
    np.testing.assert_array_equal(blur.toarray(), [[10, 1, 0], [1, 10, 0], [0, 0, 10]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 2)])
def test_any_size_passes(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    smoothed = bilateral_solver(image, np.random.default_rng(1).random(shape))
    assert smoothed.shape == shape
    assert smoothed.dtype == np.float32
