"""Framing: what a square shows of an image, that squares cover it, and that their answers make one picture again."""

import numpy as np
import pytest

from engine.core.run_parameters import DataParams
from engine.network import framing
from engine.network.framing import Canvas, cut, draw_corner, foreground_points, scaled_shape, shares, windows

SHAPES = [(64, 64), (48, 20), (8, 200), (1, 1), (131, 77), (300, 65), (64, 65)]


def params(name="pad", **values):
    return DataParams(framing=name, **values)


@pytest.mark.parametrize(
    ("data", "shape", "scaled"),
    [
        (params("pad"), (300, 400), (48, 64)),
        (params("pad"), (8, 4), (64, 32)),
        (params("pad"), (8, 4000), (1, 64)),
        (params("crop"), (300, 400), (64, 85)),
        (params("crop"), (8, 100_000), (64, 64 * framing.MAX_SQUARES)),
        (params("stretch"), (300, 400), (64, 64)),
        (params("tiles"), (300, 400), (300, 400)),
        (params("tiles", tile_scale=0.25), (300, 402), (75, 100)),
    ],
)
def test_an_image_is_scaled_as_its_framing_says(data, shape, scaled):
    assert scaled_shape(shape, data, 64) == scaled


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overlap", [0, 16])
def test_windows_cover_every_pixel_and_overlap_as_asked(shape, overlap):
    covered = np.zeros(shape, int)
    corners = windows(shape, 64, overlap)
    for top, left in corners:
        covered[max(top, 0) : top + 64, max(left, 0) : left + 64] += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({corner[axis] for corner in corners})
        gaps = np.diff(starts)
        assert (gaps <= 64 - overlap).all()
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
        if shape[axis] > 64:
            assert starts[0] == 0 and starts[-1] + 64 == shape[axis]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_pixel_belongs_to_one_share_and_mirrored_ones_to_none(shape):
    owners = np.zeros(shape, int)
    area = 0
    for corner, part in shares(shape, 64):
        inside = np.zeros((64, 64), bool)
        inside[part] = True
        rows, columns = np.nonzero(inside)
        np.add.at(owners, (rows + corner[0], columns + corner[1]), 1)
        area += inside.sum()
    assert (owners == 1).all()
    assert area == shape[0] * shape[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_squares_put_together_are_the_picture(shape):
    picture = np.random.default_rng(0).random(shape).astype(np.float32)
    canvas = Canvas(shape, 64)
    for corner in windows(shape, 64, 16):
        canvas.add(cut(picture, corner, 64), corner)
    np.testing.assert_allclose(canvas.mean(), picture, atol=1e-5)


def test_where_squares_overlap_the_nearer_middle_says_more():
    canvas = Canvas((64, 96), 64)
    canvas.add(np.zeros((64, 64), np.float32), (0, 0))
    canvas.add(np.ones((64, 64), np.float32), (0, 32))
    row = canvas.mean()[32]
    assert (row[:32] == 0).all() and (row[64:] == 1).all()
    assert (np.diff(row[32:64]) > 0).all()
    assert row[32] < 0.01 and row[63] > 0.99


def test_a_square_larger_than_its_image_is_filled_by_mirroring():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    square = cut(picture, windows((3, 4), 8)[0], 8)
    rows = [1, 0, 0, 1, 2, 2, 1, 0]
    columns = [1, 0, 0, 1, 2, 3, 3, 2]
    assert windows((3, 4), 8) == [(-2, -2)]
    assert (square == picture[np.ix_(rows, columns)]).all()


def test_large_images_show_more_tiles_but_not_without_end():
    tiles = params("tiles")
    assert framing.squares_per_epoch((20, 30), tiles, 64) == 1
    assert framing.squares_per_epoch((128, 96), tiles, 64) == 3
    assert framing.squares_per_epoch((4000, 6000), tiles, 64) == framing.MAX_TILES
    assert framing.squares_per_epoch((4000, 6000), params("crop"), 64) == 1


def test_foreground_points_are_foreground_and_spread():
    target = np.zeros((100, 50), np.uint8)
    target[20:80, 10:40] = 200
    points = foreground_points(target, 16)
    assert points.shape == (16, 2)
    assert (target[points[:, 0], points[:, 1]] == 200).all()
    assert points[0, 0] == 20 and points[-1, 0] == 79
    assert foreground_points(np.full((5, 5), 127, np.uint8)).shape == (0, 2)
    assert len(foreground_points(np.full((2, 2), 128, np.uint8))) == 4


def test_the_asked_share_of_tiles_holds_foreground():
    target = np.zeros((400, 600), np.uint8)
    target[200:204, 590:594] = 255
    points = foreground_points(target)

    def holding(share):
        data, rng = params("tiles", object_tiles=share), np.random.default_rng(0)
        corners = [draw_corner(target.shape, 64, data, points, rng) for _ in range(400)]
        assert all(0 <= top <= 336 and 0 <= left <= 536 for top, left in corners)
        return np.mean([cut(target, corner, 64).any() for corner in corners])

    assert holding(1.0) == 1
    assert holding(0.0) < 0.1
    assert 0.45 < holding(0.5) < 0.6


def test_crops_lie_anywhere_along_the_longer_side():
    rng = np.random.default_rng(0)
    corners = {draw_corner((64, 80), 64, params("crop"), np.empty((0, 2)), rng) for _ in range(300)}
    assert corners == {(0, left) for left in range(17)}
