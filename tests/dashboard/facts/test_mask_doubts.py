"""Masks of a frame, of most of the image or of nearly nothing are not praised."""

import numpy as np
import pytest

from dashboard.facts.mask_doubts import cover_doubt, doubtful_mask, mask_doubt
from engine.labelling.mask_shapes import mask_shape


def boxes(*places: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Return a mask (60, 80) of each rectangle (top, bottom, left, right)."""
    masks = np.zeros((len(places), 60, 80), bool)
    for mask, (top, bottom, left, right) in zip(masks, places, strict=True):
        mask[top:bottom, left:right] = True
    return list(masks)


def test_the_same_region_in_every_image_is_named_with_what_to_try_next():
    frame = mask_shape(boxes((10, 50, 10, 70))[0])
    same = mask_doubt([frame, frame, None, frame])
    assert "nearly the same in every image" in same and "strokes" in same
    assert mask_doubt(map(mask_shape, boxes((5, 20, 5, 30), (5, 20, 45, 70), (35, 55, 20, 60)))) == ""


def test_masks_of_most_of_each_image_are_named_with_their_share():
    most = boxes((0, 50, 5, 80), (10, 60, 0, 70), (0, 45, 0, 76))
    words = f"The masks cover {np.mean(most):.0%} of the image on average. Check them before you train on them."
    assert mask_doubt(map(mask_shape, most)).startswith(words)
    assert cover_doubt(float(np.mean(most)), 3, "train on them") == words


def test_masks_of_nearly_nothing_are_named():
    assert "less than 0.1% of the image" in cover_doubt(0.0002, 60, "use them")
    assert cover_doubt(0.07, 60, "use them") == ""
    assert cover_doubt(1.0, 2, "use them") == "", "two images say nothing of a method"
    assert mask_doubt([None, None]) == ""


@pytest.mark.parametrize(("area", "words"), [(0.0, "empty mask"), (1.0, "full mask"), (0.3, "doubtful mask")])
def test_a_doubtful_mask_is_said_to_be_empty_or_full_if_that_is_why(area, words):
    assert doubtful_mask(area) == words
