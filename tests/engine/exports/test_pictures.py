"""Masks as pictures for other tools."""

import io

import numpy as np
from PIL import Image

from engine.exports import pictures


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def levels():
    return np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def test_a_mask_is_0_and_255_and_a_class_map_0_and_1():
    assert (pixels(pictures.mask_png(levels(), 0.5)) == np.where(levels() >= 128, 255, 0)).all()
    assert (pixels(pictures.class_png(levels(), 0.25)) == (levels() >= 64)).all()


def test_a_cut_out_is_the_image_where_the_mask_is_and_nothing_elsewhere():
    image = np.random.default_rng(0).integers(0, 256, (4, 256, 3)).astype(np.uint8)
    found = pixels(pictures.cutout_png(image, levels(), 0.5))
    mask = levels() >= 128
    assert found.shape == (4, 256, 4)
    assert (found[mask] == np.dstack([image, np.full(mask.shape, 255, np.uint8)])[mask]).all()
    assert not found[~mask].any()


def test_a_mask_of_another_size_is_brought_to_the_image():
    image = np.full((8, 512, 3), 200, np.uint8)
    assert pixels(pictures.cutout_png(image, levels(), 0.5))[..., 3].shape == (8, 512)
