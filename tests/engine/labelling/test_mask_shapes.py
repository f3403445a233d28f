"""Masks that are the same everywhere, or nearly the whole picture, are doubted; objects are not."""

import numpy as np

from engine.labelling.mask_shapes import doubt_of, mask_shape


def disc(row: float, column: float, radius: float, size=(90, 120)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def doubt(*masks: np.ndarray):
    return doubt_of([mask_shape(mask) for mask in masks])


def test_a_field_of_view_in_every_image_is_the_same_region():
    assert doubt(*(disc(45 + shift, 60 - shift, 48) for shift in range(4))) == "same"


def test_objects_at_different_places_are_not_doubted():
    assert doubt(disc(30, 40, 20), disc(60, 80, 20), disc(40, 90, 15), disc(50, 30, 25)) is None


def test_objects_in_the_middle_of_photographs_are_not_doubted():
    assert doubt(disc(45, 60, 12), disc(40, 55, 25), disc(50, 70, 35), disc(45, 40, 20)) is None


def test_masks_of_the_border_are_doubted():
    grounds = [~disc(45, column, 40) for column in (41, 53, 66, 78)]
    assert doubt(*grounds) == "border"


def test_thin_lines_are_not_doubted():
    lines = [np.zeros((320, 480), bool) for _ in range(4)]
    for number, mask in enumerate(lines):
        mask[60 * number + 40, 20:440] = True
    assert doubt(*lines) is None


def test_few_or_empty_masks_say_nothing():
    empty = np.zeros((40, 40), bool)
    assert doubt(empty, empty, empty, empty) is None
    assert doubt(disc(45, 60, 48), disc(45, 60, 48)) is None
