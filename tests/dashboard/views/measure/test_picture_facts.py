"""The picture of an image with its objects."""

from __future__ import annotations

import numpy as np

from dashboard.views.measure.picture_facts import CHOSEN, INK, LONGEST_PX, OUTLINE, Window, around, outlined

LABELS = np.zeros((200, 400), np.uint16)
LABELS[20:40, 30:60], LABELS[20:40, 60:90], LABELS[150:170, 350:390] = 1, 2, 3
IMAGE = np.zeros((200, 400, 3), np.uint8)


def pixels(drawn, colour):
    return int((drawn == colour).all(-1).sum())


def test_objects_are_outlined_apart_where_they_touch_and_the_chosen_one_stands_out():
    drawn = outlined(IMAGE, LABELS, numbers=False)
    scale = drawn.shape[1] // 400
    assert drawn.shape == (200 * scale, 400 * scale, 3)
    assert tuple(drawn[30 * scale, 60 * scale]) == OUTLINE  # between 1 and 2
    assert pixels(drawn, CHOSEN) == 0
    assert pixels(outlined(IMAGE, LABELS, chosen=2, numbers=False), CHOSEN) > 0
    assert pixels(outlined(IMAGE, LABELS), (255, 255, 255)) > 0


def test_large_images_are_drawn_smaller():
    large = np.zeros((3000, 2000), np.uint16)
    assert outlined(np.zeros((3000, 2000, 3), np.uint8), large).shape == (LONGEST_PX, LONGEST_PX * 2 // 3, 3)


def test_numbers_grow_with_the_objects_and_the_picture():
    def heights(side_px, image_px):
        labels = np.zeros((image_px, image_px), np.uint16)
        labels[:side_px, :side_px] = 1
        drawn = outlined(np.zeros((image_px, image_px, 3), np.uint8), labels)
        return int((drawn == INK).all(-1).any(1).sum())

    assert heights(400, 1200) > heights(20, 1200) >= 7
    assert heights(4000, 12_000) == heights(400, 1200)
    assert heights(400, 1200) > 20  # of 1,200 rows, which the page shows in about 500


def test_a_window_surrounds_an_object_and_knows_its_places():
    window = around(LABELS, 3)
    assert window.top + window.height <= 200 and window.left + window.width <= 400
    assert window.top <= 150 and window.left <= 350
    assert around(LABELS, 9) == Window(0, 0, 200, 400)
    row, column = window.place((370 - window.left) / window.width, (160 - window.top) / window.height)
    assert LABELS[row, column] == 3
    assert Window(0, 0, 200, 400).place(1.0, 1.0) == (199, 399)
