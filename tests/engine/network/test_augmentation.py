"""Augmentation: image and mask stay together, limits hold, and the same seed gives the same copy."""

import numpy as np
import pytest

from engine.core.run_parameters import AugmentationParams, DataParams
from engine.network.augmentation import Change, apply_change, draw_change, draw_square, preview
from engine.network.framing import cut, foreground_points
from tests.support.installation import disc

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
FILL_MODES = ["nearest", "reflect", "wrap", "constant"]
NO_POINTS = np.empty((0, 2), np.int32)


def pair(seed=0):
    image, mask = disc(64, 14, seed)
    return np.dstack([image, mask.astype(np.uint8) * 255])


def rng(seed=0):
    return np.random.default_rng(seed)


def square(pixels, params, seed=0, size=64, framing="pad"):
    points = foreground_points(pixels[..., 3])
    return draw_square(pixels, points, size, DataParams(framing=framing), params, rng(seed))


@pytest.mark.parametrize("fill_mode", FILL_MODES)
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
@pytest.mark.parametrize(("framing", "crop"), [("pad", 64), ("pad", 40), ("tiles", 64)])
def test_the_mask_follows_the_disc(change, fill_mode, framing, crop):
    params = AugmentationParams(**(STILL | change | {"fill_mode": fill_mode}))
    pixels = np.ascontiguousarray(pair()[64 - crop :])
    for seed in range(5):
        changed = square(pixels, params, seed, size=48 if framing == "tiles" else 64, framing=framing)
        bright = changed[..., 0] > 125  # the disc is bright, the ground dark, and a black border darker still
        disagree = np.mean(bright != (changed[..., 3] > 127))
        assert disagree < 0.03
        assert changed.dtype == np.uint8


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("rows", [64, 40, 9])
def test_no_change_is_no_change(fill_mode, rows):
    pixels = np.ascontiguousarray(pair()[:rows])
    framed = cut(pixels, (-((64 - rows) // 2), 0), 64)
    assert (square(pixels, AugmentationParams(**(STILL | {"fill_mode": fill_mode}))) == framed).all()
    assert (square(pixels, AugmentationParams(enabled=False)) == framed).all()


def test_framing_and_change_in_one_warp_are_the_change_of_the_framed_square():
    pixels = rng().integers(0, 256, (40, 64, 4)).astype(np.uint8)
    params = AugmentationParams(rotation_range=20, shear_range=10)
    for seed in range(5):
        change = draw_change(params, (64, 64), rng(seed))
        at_once = apply_change(pixels, (-12, 0), 64, change)
        after = apply_change(cut(pixels, (-12, 0), 64), (0, 0), 64, change)
        assert (at_once == after)[16:48, 16:48].all()  # near the border one mirrors the image and the other its frame


def test_a_tile_turned_shows_what_lies_around_it_not_a_mirror():
    pixels = rng().integers(0, 256, (200, 200, 4)).astype(np.uint8)
    moved = Change(np.array([[1.0, 0, 30], [0, 1, -20]]), 1.0, np.zeros(3))
    assert (apply_change(pixels, (100, 60), 64, moved) == pixels[80:144, 90:154]).all()


def test_an_image_too_wide_to_warp_is_cut_first():
    pixels = np.tile(pair(), (1, 520, 1))
    still = Change(np.eye(2, 3), 1.0, np.zeros(3))
    assert (apply_change(pixels, (0, 64 * 519), 64, still) == pair()).all()


def test_a_horizontal_flip_mirrors_exactly():
    params = AugmentationParams(**(STILL | {"horizontal_flip": True}))
    seen = {square(pair(), params, seed).tobytes() for seed in range(10)}
    assert seen == {pair().tobytes(), np.fliplr(pair()).tobytes()}


def test_a_shift_stays_within_its_limit_and_moves_whole_pictures():
    params = AugmentationParams(**(STILL | {"width_shift_range": 0.25}))
    moves = np.array([draw_change(params, (64, 80), rng(seed)).matrix[:, 2] for seed in range(200)])
    assert np.abs(moves[:, 0]).max() <= 0.25 * 80
    assert np.abs(moves[:, 0]).max() > 0.2 * 80
    assert (moves[:, 1] == 0).all()


def test_colour_changes_the_image_alone():
    params = AugmentationParams(**(STILL | {"brightness_range": 0.5, "channel_shift_range": 30}))
    changed = square(pair(), params, 3)
    assert (changed[..., 3] == pair()[..., 3]).all()
    assert np.abs(changed[..., :3].astype(int) - pair()[..., :3]).mean() > 5


def test_brightness_saturates_instead_of_wrapping_around():
    brighter = Change(np.eye(2, 3), 1.5, np.array([0.0, 20.0, -300.0]))
    changed = apply_change(np.full((8, 8, 4), 250, np.uint8), (0, 0), 8, brighter)
    assert (changed == (255, 255, 75, 250)).all()


def test_constant_fill_is_black_background():
    params = AugmentationParams(**(STILL | {"width_shift_range": 1.0, "fill_mode": "constant"}))
    pixels = np.full((32, 32, 4), (200, 200, 200, 255), np.uint8)
    changed = square(pixels, params, 1, size=32)
    image, target = changed[..., :3], changed[..., 3]
    assert (image[target == 0] == 0).all()
    assert (target == 0).any()
    assert (image[target == 255] == 200).all()


def shown(seed=1, size=48, **data):
    image, mask = disc(64, 14)
    levels = mask.astype(np.uint8) * 255
    return preview(image, levels, DataParams(**data), AugmentationParams(), size, 256, 3, seed)


def test_the_same_seed_gives_the_same_copies_and_another_does_not():
    first, again, other = shown(), shown(), shown(seed=2)
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert (first[0][0] != other[0][0]).any()
    assert first[0][0].shape == (48, 48, 3)
    assert first[0][1].shape == (48, 48)
    assert (first[0][0] != first[1][0]).any()


def test_a_preview_of_tiles_is_a_smaller_picture_of_the_same_tiles():
    image = np.zeros((400, 400, 3), np.uint8)
    image[::, ::40] = 255  # a line every 40 px: a tile of 200 px shows five of them at any size
    still = AugmentationParams(enabled=False)
    for shown_px in (200, 100):
        data = DataParams(framing="tiles", object_tiles=0)
        picture, _ = preview(image, image[..., 0], data, still, 200, shown_px, 1)[0]
        row = picture[0, :, 0] > 80
        assert picture.shape == (shown_px, shown_px, 3)
        assert row.sum() == 5
