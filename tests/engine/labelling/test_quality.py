"""The quality of a mask, told from the image alone: which of two masks is better, and where nothing stands out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr
from skimage import data

from engine.datasets.truth_file import read_truth
from engine.imaging import codec, metrics
from engine.labelling.base import draw, find_method
from engine.labelling.mask_shapes import mask_shape
from engine.labelling.quality import (
    WEIGHTS,
    Quality,
    assess,
    at_judging_size,
    border,
    edges,
    sameness,
    separation,
    shape,
)
from engine.labelling.rivals import border_distance, rivals
from tests.support.shared_data import SHARED_DATA


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return a red ellipse on meadow and sky with noise, and its mask."""
    image = np.empty((150, 200, 3), np.float32)
    image[:70] = (150, 190, 225)
    image[70:] = (95, 140, 60)
    mask = cv2.ellipse(np.zeros((150, 200), np.uint8), (90, 80), (42, 28), 20, 0, 360, 1, -1) > 0
    image[mask] = (200, 40, 50)
    image += np.random.default_rng(0).normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def faithful(image: np.ndarray, mask: np.ndarray) -> Quality:
    """Return the quality of a mask that a recipe draws again in any view, as only a mask of its own could."""

    def redraw(view: np.ndarray) -> np.ndarray:
        height, width = view.shape[:2]
        mirrored = np.ascontiguousarray(mask[:, ::-1]).astype(np.float32)
        return cv2.resize(mirrored, (width, height), interpolation=cv2.INTER_AREA)

    return assess(image, mask.astype(np.float32), redraw)


def by_method(image: np.ndarray, name: str, **values: object) -> Quality:
    method = find_method(name)
    params = method.params(**values)
    return assess(image, draw(method, image, params, 0), lambda view: draw(method, view, params, 0))


def test_the_right_mask_is_better_than_any_wrong_one() -> None:
    image, mask = scene()
    right = faithful(image, mask)
    moved = np.roll(mask, (25, 60), axis=(0, 1))
    sky = np.zeros_like(mask)
    sky[:70] = True
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((35, 35))) > 0
    for name, wrong in {"moved": moved, "sky": sky, "grown": grown, "turned inside out": ~mask}.items():
        assert faithful(image, wrong).score < right.score - 0.05, name
    assert right.clear
    assert right.score > 0.9
    assert set(right.parts) == {*WEIGHTS, "figure"}


def test_an_empty_or_full_mask_is_worth_nothing_and_not_drawn_again() -> None:
    image, mask = scene()

    def never(view: np.ndarray) -> np.ndarray:
        raise AssertionError

    for probability in (np.zeros(mask.shape, np.float32), np.ones(mask.shape, np.float32)):
        found = assess(image, probability, never)
        assert (found.score, found.clear, set(found.parts.values())) == (0.0, False, {0.0})
        assert found.shape == mask_shape(probability >= 0.5)


def test_another_view_is_asked_for_once_mirrored_and_small() -> None:
    image, mask = scene()
    large = cv2.resize(image, (800, 600), interpolation=cv2.INTER_NEAREST)
    seen = []

    def redraw(view: np.ndarray) -> np.ndarray:
        seen.append(view)
        return np.zeros(view.shape[:2], np.float32)

    probability = cv2.resize(mask.astype(np.float32), (800, 600), interpolation=cv2.INTER_NEAREST)
    quality = assess(large, probability, redraw)
    assert [view.shape for view in seen] == [(150, 200, 3)]
    assert np.abs(seen[0].astype(int) - image[:, ::-1]).max() <= 1
    assert quality.parts["stability"] == 0


def test_thin_masks_are_judged_at_a_greater_size() -> None:
    image = np.full((600, 800, 3), 150, np.uint8)
    line = cv2.line(np.zeros((600, 800), np.float32), (20, 30), (700, 500), 1.0, 1)
    disc = cv2.circle(np.zeros((600, 800), np.float32), (400, 300), 150, 1.0, -1)
    assert at_judging_size(image, line)[0].shape == (300, 400, 3)
    assert at_judging_size(image, disc)[0].shape == (150, 200, 3)


@pytest.mark.parametrize("method", ["threshold", "saliency", "kmeans"])
def test_nothing_stands_out_of_noise_a_gradient_or_one_colour(method: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (150, 200, 3), np.uint8)
    clouds = np.clip(128 + 12 * cv2.GaussianBlur(rng.normal(0, 60, (150, 200, 3)), (0, 0), 4), 0, 255)
    slope = np.repeat(np.add.outer(np.arange(150), np.arange(200))[..., None] / 2 + 30, 3, axis=2)
    even = np.full((150, 200, 3), 80, np.uint8) + (rng.random((150, 200, 3)) > 0.9)
    for name, image in {"noise": noise, "clouds": clouds, "slope": slope, "even": even}.items():
        assert not by_method(image.astype(np.uint8), method).clear, name


@pytest.mark.parametrize("texture", ["grass", "gravel"])
def test_an_even_texture_shows_no_foreground(texture: str) -> None:
    image = np.repeat(getattr(data, texture)()[:256, :256, None], 3, axis=2)
    assert not by_method(image, "threshold").clear


def test_objects_that_lie_everywhere_are_no_texture() -> None:
    rows, columns = np.mgrid[:200, :260]
    dots = (rows % 20 - 10) ** 2 + (columns % 20 - 10) ** 2 < 40
    image = np.where(dots[..., None], 190, 40) + np.random.default_rng(0).normal(0, 8, (*dots.shape, 1))
    quality = by_method(np.repeat(image, 3, axis=2).astype(np.uint8), "threshold")
    assert quality.clear
    assert quality.score > 0.8


def test_real_objects_stand_out() -> None:
    coins = np.repeat(data.coins()[..., None], 3, axis=2)
    for image, method in ((coins, "threshold"), (data.coffee(), "saliency"), (data.page(), "threshold")):
        picture = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        assert by_method(picture, method).clear


def test_border_edges_separation_and_shape_know_good_from_bad() -> None:
    image, mask = scene()
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    assert border(mask) == 1
    half = np.zeros_like(mask)
    half[:, :100] = True
    assert border(half) == pytest.approx(0.5, abs=0.02)
    assert border(~mask) < border(half)
    assert edges(lab, mask) > 0.9 > 0.5 > edges(lab, np.roll(mask, 30, axis=1))
    assert separation(lab, mask) > 0.5 > 0.2 > separation(lab, np.roll(mask, 80, axis=1))
    assert shape(mask) > 0.95
    assert shape(mask & (np.indices(mask.shape)[1] % 8 < 4)) == pytest.approx(1, abs=0.05)  # solid stripes
    ring = mask & ~(cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) > 0)
    ring[:, 90:] = False
    assert shape(ring) < 0.5  # a sickle


def test_sameness_forgives_two_pixels() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:12, 5:35] = True
    assert sameness(mask, np.roll(mask, 2, axis=0)) == 1
    assert sameness(mask, np.roll(mask, 8, axis=0)) == 0
    assert sameness(mask, np.zeros_like(mask)) == 0


def test_one_of_the_rivals_finds_the_object() -> None:
    image, mask = scene()
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    assert max(metrics.iou(rival, mask) for rival in rivals(lab)) > 0.9
    unlike = border_distance(lab)
    assert unlike[mask].mean() > 3 * unlike[~mask].mean()


def test_the_same_mask_gets_the_same_quality() -> None:
    image, _ = scene()
    assert by_method(image, "saliency") == by_method(image, "saliency")


@pytest.mark.shared
@pytest.mark.parametrize(("name", "method"), [("nuclei", "threshold"), ("ecssd", "saliency")])
def test_on_real_images_better_masks_get_better_scores(name: str, method: str) -> None:
    folder = SHARED_DATA / name
    if not folder.exists():
        pytest.skip(f"needs the shared {name} images")
    chosen = find_method(method)
    params = chosen.params(longest_side_px=200)
    scores, dices = [], []
    for path in sorted((folder / "images").iterdir())[1::10]:
        image = codec.decode_image(path.read_bytes())
        truth = read_truth((folder / "truth" / f"{path.stem}.png").read_bytes()).values > 0
        probability = draw(chosen, image, params, 0)
        scores.append(assess(image, probability, lambda view: draw(chosen, view, params, 0)).score)
        dices.append(metrics.dice(probability >= 0.5, truth))
    assert spearmanr(scores, dices).statistic > 0.4
