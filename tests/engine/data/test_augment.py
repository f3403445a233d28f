"""Augmentation: image and mask stay together, limits hold, and the same seed gives the same copy."""

import numpy as np
import pytest

from engine.data.augment import apply_change, augment, draw_change, preview
from engine.run_parameters import AugmentationParams
from tests.house import disc

STILL = {
    "rotation_range": 0,
    "width_shift_range": 0,
    "height_shift_range": 0,
    "shear_range": 0,
    "zoom_range": 0,
    "brightness_range": 0,
    "channel_shift_range": 0,
    "horizontal_flip": False,
    "vertical_flip": False,
}


def pair(seed=0):
    image, mask = disc(64, 14, seed)
    return image, mask.astype(np.uint8) * 255


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "wrap", "constant"])
@pytest.mark.parametrize(
    "change",
    [
        {"rotation_range": 40},
        {"width_shift_range": 0.3, "height_shift_range": 0.3},
        {"shear_range": 25},
        {"zoom_range": 0.5},
        {"horizontal_flip": True, "vertical_flip": True},
    ],
)
def test_the_mask_follows_the_disc(change, fill_mode):
    params = AugmentationParams(**(STILL | change | {"fill_mode": fill_mode}))
    image, target = pair()
    for seed in range(5):
        changed, moved = augment(image, target, params, rng(seed))
        bright = changed[..., 0] > 125  # the disc is bright, the ground dark, and a black border darker still
        disagree = np.mean(bright != (moved > 127))
        assert disagree < 0.03
        assert changed.dtype == moved.dtype == np.uint8


def test_no_change_is_no_change():
    image, target = pair()
    changed, moved = augment(image, target, AugmentationParams(**STILL), rng())
    assert (changed == image).all()
    assert (moved == target).all()
    disabled = AugmentationParams(enabled=False)
    assert augment(image, target, disabled, rng())[0] is image


def test_a_horizontal_flip_mirrors_exactly():
    image, target = pair()
    params = AugmentationParams(**(STILL | {"horizontal_flip": True}))
    seen = {augment(image, target, params, rng(seed))[1].tobytes() for seed in range(10)}
    assert seen == {target.tobytes(), np.fliplr(target).copy().tobytes()}


def test_a_shift_stays_within_its_limit_and_moves_whole_pictures():
    params = AugmentationParams(**(STILL | {"width_shift_range": 0.25}))
    moves = np.array([draw_change(params, (64, 80), rng(seed)).matrix[:, 2] for seed in range(200)])
    assert np.abs(moves[:, 0]).max() <= 0.25 * 80
    assert np.abs(moves[:, 0]).max() > 0.2 * 80
    assert (moves[:, 1] == 0).all()


def test_colour_changes_the_image_alone():
    params = AugmentationParams(**(STILL | {"brightness_range": 0.5, "channel_shift_range": 30}))
    image, target = pair()
    changed, moved = augment(image, target, params, rng(3))
    assert (moved == target).all()
    assert np.abs(changed.astype(int) - image).mean() > 5


def test_brightness_saturates_instead_of_wrapping_around():
    change = draw_change(AugmentationParams(**STILL), (8, 8), rng())
    image = np.full((8, 8, 3), 250, np.uint8)
    brighter = type(change)(change.matrix, 1.5, np.array([0.0, 20.0, -300.0]))
    changed, _ = apply_change(image, np.zeros((8, 8), np.uint8), brighter)
    assert (changed == (255, 255, 75)).all()


def test_constant_fill_is_black_background():
    params = AugmentationParams(**(STILL | {"width_shift_range": 1.0, "fill_mode": "constant"}))
    image, target = np.full((32, 32, 3), 200, np.uint8), np.full((32, 32), 255, np.uint8)
    changed, moved = augment(image, target, params, rng(1))
    assert (changed[moved == 0] == 0).all()
    assert (moved == 0).any()
    assert (changed[moved == 255] == 200).all()


def test_the_same_seed_gives_the_same_copies_and_another_does_not():
    image, target = pair()
    params = AugmentationParams()
    first = preview(image, target, params, 48, 3, seed=1)
    again = preview(image, target, params, 48, 3, seed=1)
    other = preview(image, target, params, 48, 3, seed=2)
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert (first[0][0] != other[0][0]).any()
    assert first[0][0].shape == (48, 48, 3)
    assert first[0][1].shape == (48, 48)
    assert (first[0][0] != first[1][0]).any()
