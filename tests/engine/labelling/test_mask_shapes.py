"""Masks that are background or the same everywhere are distinguished from objects by their shapes."""

import numpy as np
import pytest

from engine.labelling.mask_shapes import agreement, figure, mask_shape, same_place


def disc(row: float, column: float, radius: float, size=(90, 120)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def place(*masks: np.ndarray) -> float:
    return same_place([mask_shape(mask) for mask in masks])


def test_a_mask_has_its_share_of_the_image_and_of_its_outline_on_the_border():
    mask = np.zeros((60, 80), bool)
    mask[:20, :40] = True
    shape = mask_shape(mask)
    assert shape.area == pytest.approx(1 / 6)
    assert shape.contact == pytest.approx(0.5)
    assert mask_shape(np.zeros((60, 80), bool)).contact == 0


def test_objects_are_figures_and_what_covers_most_or_runs_along_the_border_is_not():
    inside, half = disc(45, 60, 25), np.zeros((90, 120), bool)
    half[:, :50] = True
    assert figure(mask_shape(inside)) == 1
    assert figure(mask_shape(~inside)) == 0
    assert figure(mask_shape(half)) == 0
    assert 0 < figure(mask_shape(disc(45, 60, 44))) < 1


def test_many_small_objects_may_touch_the_border():
    mask = np.zeros((90, 120), bool)
    for column in range(0, 120, 12):
        mask[:6, column : column + 6] = mask[40:46, column : column + 6] = True
    assert figure(mask_shape(mask)) == 1


def test_what_a_fixed_camera_sees_is_in_the_same_place():
    assert place(*(disc(30 + shift, 30, 20) for shift in range(4))) > 0.8


def test_a_field_of_view_in_every_image_is_in_the_same_place():
    boxes = [np.zeros((90, 120), bool) for _ in range(4)]
    for mask in boxes:
        mask[2:88, 20:100] = True
    assert place(*boxes) == 1


def test_objects_anywhere_or_in_the_middle_are_not_in_the_same_place():
    assert place(disc(30, 40, 20), disc(60, 80, 20), disc(40, 90, 15), disc(50, 30, 25)) < 0.1
    assert place(disc(45, 60, 12), disc(40, 55, 25), disc(50, 70, 35), disc(45, 40, 20)) < 0.1


def test_masks_of_the_same_images_agree_beyond_chance_or_say_nothing():
    discs = [mask_shape(disc(30 + 10 * number, 40, 20)) for number in range(3)]
    moved = [mask_shape(disc(30 + 10 * number, 90, 20)) for number in range(3)]
    tiny = [mask_shape(disc(30, 40, 0.5))] * 3
    assert agreement(discs, discs) == 1
    assert agreement(discs, moved) < 0
    assert agreement(discs, tiny) == 1


def test_thin_lines_few_and_empty_masks_say_nothing():
    lines = [np.zeros((320, 480), bool) for _ in range(4)]
    for mask in lines:
        mask[100, 20:440] = True
    empty = np.zeros((40, 40), bool)
    assert place(*lines) == 0
    assert place(empty, empty, empty, empty) == 0
    assert place(disc(45, 60, 48), disc(45, 60, 48)) == 0
