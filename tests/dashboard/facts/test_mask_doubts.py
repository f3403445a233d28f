"""Masks of a frame are not praised."""

import numpy as np

from dashboard.facts.mask_doubts import mask_doubt
from engine.labelling.mask_shapes import mask_shape


def test_the_same_region_in_every_image_is_named_with_what_to_try_next():
    frame = np.zeros((60, 80), bool)
    frame[10:50, 10:70] = True
    same = mask_doubt([mask_shape(frame), mask_shape(frame), None, mask_shape(frame)])
    assert "nearly the same in every image" in same and "strokes" in same
    here, there, below = np.zeros((3, 60, 80), bool)
    here[5:20, 5:30], there[5:20, 45:70], below[35:55, 20:60] = True, True, True
    assert mask_doubt(map(mask_shape, (here, there, below))) == ""
