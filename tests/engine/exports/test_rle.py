"""Our run-length encoding against the reference implementation: character for character, and back to the same mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from engine.exports import rle
from engine.exports.outlines import objects
from tests.support.drawn_masks import ADVERSARIAL, real_masks


def check(mask):
    ours = rle.encode(mask)
    theirs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours["counts"].encode() == theirs["counts"] and ours["size"] == theirs["size"]
    assert (reference.decode(ours).astype(bool) == mask).all()


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_odd_masks(name):
    check(ADVERSARIAL[name])


def test_real_masks():
    for mask in real_masks():
        check(mask)


@settings(max_examples=150)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_any_mask_and_each_object_in_it(height, width, share, seed):
    mask = np.random.default_rng(seed).random((height, width)) < share
    check(mask)
    together = np.zeros_like(mask)
    for found in objects(mask):
        runs = rle.from_runs(found.starts, found.lengths, mask.shape)
        own = reference.decode(runs).astype(bool)
        assert own.sum() == found.area == reference.area(runs) and not (together & own).any()
        left, top, wide, high = found.box
        assert (own[top : top + high, left : left + wide] == found.crop).all()
        # The same characters that the reference writes: no run of length 0 between two that touch.
        assert runs["counts"].encode() == reference.encode(np.asfortranarray(own.astype(np.uint8)))["counts"]
        together |= own
    assert (together == mask).all()
