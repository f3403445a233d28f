"""Robust background detection and its refinements, on drawn scenes and on real photographs where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.imaging import metrics
from engine.labelling.base import draw, find_method
from engine.labelling.cues.refine import grabcut, guided_filter
from engine.labelling.cues.robust_background import boundary_connectivity, distances, otsu, saliency
from engine.labelling.cues.superpixels import find_superpixels
from engine.labelling.methods.saliency import centre_on_threshold
from tests.support.shared_data import SHARED_DATA

ECSSD = SHARED_DATA / "ecssd"


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a two-coloured object on a ground of sky and meadow with noise and a shadow, and its mask."""
    rng = np.random.default_rng(seed)
    image = np.empty((150, 200, 3), np.float32)
    image[:70] = (150, 190, 225)
    image[70:] = (95, 140, 60)
    centre = (int(rng.integers(70, 130)), int(rng.integers(60, 90)))
    cv2.ellipse(image, (centre[0], centre[1] + 30), (40, 9), 0, 0, 360, (60, 90, 40), -1)
    cv2.ellipse(image, centre, (38, 27), 20, 0, 360, (200, 40, 50), -1)
    cv2.circle(image, centre, 14, (240, 220, 60), -1)
    mask = cv2.ellipse(np.zeros((150, 200), np.uint8), centre, (38, 27), 20, 0, 360, 1, -1) > 0
    image += rng.normal(0, 8, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def test_boundary_connectivity_is_high_for_ground_and_low_for_an_object_inside() -> None:
    image, mask = scene(0)
    superpixels = find_superpixels(image, 300)
    connectivity = boundary_connectivity(superpixels, distances(superpixels.colours))
    share = np.bincount(superpixels.labels[mask], minlength=len(connectivity)) / superpixels.areas
    assert connectivity[share > 0.9].max() < 1 < 2 < np.median(connectivity[share < 0.1])


def test_saliency_is_several_times_higher_on_the_object() -> None:
    image, mask = scene(1)
    superpixels = find_superpixels(image, 300)
    salient = saliency(superpixels)
    assert salient.min() >= 0
    assert salient.max() <= 1
    salient = salient[superpixels.labels]
    assert salient[mask].mean() > 5 * salient[~mask].mean()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"grabcut": False},
        {"outline": "as_found"},
        {"outline": "bilateral_solver"},
        {"ground_weight": 0},
        {"groups_weight": 0},
        {"regions_weight": 0},
        {"barrier_weight": 0},
    ],
)
def test_the_object_is_found_without_any_one_opinion_or_refinement(params: dict) -> None:
    method = find_method("saliency")
    overlap = []
    for seed in range(4):
        image, mask = scene(seed)
        overlap.append(metrics.iou(draw(method, image, method.params(**params), seed=0) >= 0.5, mask))
    assert np.mean(overlap) > 0.7, overlap  # the shadow may come along, the ground may not


def test_without_any_opinion_nothing_stands_out() -> None:
    method = find_method("saliency")
    silent = method.params(ground_weight=0, groups_weight=0, regions_weight=0, barrier_weight=0)
    assert not draw(method, scene(0)[0], silent, seed=0).any()


def test_texture_alone_makes_an_object() -> None:
    rng = np.random.default_rng(0)
    mask = cv2.circle(np.zeros((150, 200), np.uint8), (100, 75), 35, 1, -1) > 0
    rough = np.kron(rng.integers(0, 2, (75, 100)), np.ones((2, 2))) * 120 - 60
    image = np.clip(128 + np.where(mask, rough, rng.normal(0, 3, mask.shape)), 0, 255).astype(np.uint8)
    method = find_method("saliency")
    found = draw(method, np.repeat(image[..., None], 3, axis=2), method.params(grabcut=False), seed=0) >= 0.5
    assert metrics.iou(found, mask) > 0.7


def test_otsu_parts_two_heaps_and_the_threshold_becomes_one_half() -> None:
    values = np.r_[np.linspace(0, 0.1, 50), np.linspace(0.3, 0.4, 20)]
    assert otsu(values) == 0.3
    bent = centre_on_threshold(values.reshape(7, 10).astype(np.float32), 1.0)
    assert ((bent >= 0.499) == (values.reshape(7, 10) >= 0.3)).all()
    assert not centre_on_threshold(np.full((5, 5), 0.4, np.float32), 1.0).any()


def test_the_guided_filter_moves_an_outline_to_the_edge_of_the_image() -> None:
    image, mask = scene(2)
    rough = cv2.boxFilter(cv2.erode(mask.astype(np.float32), np.ones((7, 7))), -1, (13, 13))
    assert metrics.iou(guided_filter(image, rough, 8, 0.1) >= 0.5, mask) > metrics.iou(rough >= 0.5, mask)


def test_grabcut_grows_a_seed_to_the_object_and_repeats_itself() -> None:
    image, mask = scene(3)
    start = np.where(mask, 0.6, 0.05).astype(np.float32)
    rows, columns = np.nonzero(mask)
    start[int(rows.mean()) - 15 : int(rows.mean()) + 15, int(columns.mean()) - 15 : int(columns.mean()) + 15] = 0.95
    first = grabcut(image, start, 3, 200, np.random.default_rng(5))
    cv2.setRNGSeed(123)
    assert metrics.iou(first, mask) > 0.9
    np.testing.assert_array_equal(grabcut(image, start, 3, 200, np.random.default_rng(5)), first)


def test_grabcut_mends_a_hard_mask_that_is_shifted() -> None:
    image, mask = scene(3)
    shifted = np.roll(mask, 6, axis=1).astype(np.float32)
    cut = grabcut(image, shifted, 3, 200, np.random.default_rng(0))
    assert metrics.iou(cut, mask) > metrics.iou(shifted >= 0.5, mask) + 0.1


def test_grabcut_is_refused_without_two_sides_or_when_it_runs_away() -> None:
    image, mask = scene(3)
    rng = np.random.default_rng(0)
    assert grabcut(image, np.ones(mask.shape, np.float32), 3, 200, rng) is None
    assert grabcut(image, np.zeros(mask.shape, np.float32), 3, 200, rng) is None
    start = np.full(mask.shape, 0.3, np.float32)
    start[90:96, 5:25] = 0.9  # a seed of meadow: GrabCut floods what of the meadow is not the surest ground
    assert grabcut(image, start, 3, 200, rng) is None


@pytest.mark.shared
@pytest.mark.skipif(not ECSSD.exists(), reason="needs the shared ecssd images")
def test_on_real_photographs_it_agrees_with_the_truth() -> None:
    method = find_method("saliency")
    overlap = []
    for path in sorted((ECSSD / "images").iterdir())[1:80:4]:
        image = cv2.imread(str(path))[..., ::-1].copy()
        truth = cv2.imread(str(ECSSD / "truth" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        overlap.append(metrics.iou(draw(method, image, method.params(longest_side_px=256), seed=0) >= 0.5, truth))
    assert np.mean(overlap) > 0.5
