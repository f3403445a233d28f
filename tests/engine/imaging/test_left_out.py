"""A region that is left out: in masks, references, corrections and images, at their own sizes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.imaging import codec
from engine.imaging.class_maps import Reference
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.imaging.left_out import NOTHING, BadRegion, LeftOut, checked


class Files:
    """One stored region: the left 4 of 16 columns, of an image 8 px high."""

    def read(self, key):
        region = np.zeros((8, 16), np.uint8)
        region[:, :4] = 255
        return codec.encode_png(region)


LEFT = LeftOut(Files(), "datasets/x/left_out/y.png")


def test_the_region_is_stretched_to_an_image_of_another_size():
    assert LEFT.of((8, 16))[:, :4].all() and LEFT.of((8, 16)).sum() == 32
    stretched = LEFT.of((20, 8))
    assert stretched[:, :2].all() and not stretched[:, 2:].any()


def test_masks_are_0_there_and_corrections_say_ignore():
    mask = np.full((8, 16), 200, np.uint8)
    cleared = LEFT.cleared(mask)
    assert not cleared[:, :4].any() and (cleared[:, 4:] == 200).all() and (mask == 200).all()
    marked = LEFT.marked(np.full((8, 16), UNTOUCHED, np.uint8))
    assert (marked[:, :4] == LEFT_OUT).all() and (marked[:, 4:] == UNTOUCHED).all()


def test_a_reference_does_not_count_there():
    ignored = np.zeros((8, 16), bool)
    ignored[:, 15] = True
    found = LEFT.ignored(Reference(np.ones((8, 16), bool), ignored))
    values, foreground = found.beside(np.ones((8, 16), bool))
    assert values.size == foreground.sum() == 8 * 11
    assert (
        LEFT.reference(np.full((8, 16), 255, np.uint8), [int(value > 127) for value in range(256)]).ignored.sum() == 32
    )


def test_an_image_is_filled_with_what_lies_next_to_the_region():
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 4:] = np.arange(12)[:, None] + 10
    filled = LEFT.filled(image)
    assert (filled[:, :4] == 10).all() and np.array_equal(filled[:, 4:], image[:, 4:])
    assert not image[:, :4].any(), "the image itself is not changed"


def test_without_a_region_everything_stays_as_it_is():
    image, mask = np.ones((4, 4, 3), np.uint8), np.ones((4, 4), np.uint8)
    assert not NOTHING and NOTHING.of((4, 4)) is None
    assert NOTHING.filled(image) is image and NOTHING.cleared(mask) is mask and NOTHING.marked(mask) is mask


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.zeros((4, 4, 3), np.uint8), "must be an 8-bit greyscale PNG"),
        (np.zeros((4, 4), np.uint8), "leaves nothing out: all of its pixels are 0"),
        (np.ones((4, 4), np.uint8), "leaves out 100% of an image. At most 95% can be left out"),
    ],
)
def test_a_region_that_cannot_be_used_is_refused_by_name(values, sentence):
    with pytest.raises(BadRegion, match=f"'mask.png' {sentence}"):
        checked(values, "'mask.png'")
