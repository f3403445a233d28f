"""Masks as pictures for other tools."""

import io

import numpy as np
import pytest
from PIL import Image

from engine.datasets.truth_file import read_truth
from engine.exports import pictures
from engine.imaging import class_maps
from engine.imaging.class_colours import class_colour, png_palette
from engine.imaging.class_maps import IGNORE

CLASSES = [{"index": index, "name": str(index)} for index in range(3)]


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def levels():
    return np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def test_a_mask_is_0_and_255_and_a_class_map_0_and_1():
    mask = class_maps.to_classes(levels(), None, 0.5)
    assert (pixels(pictures.mask_png(mask, "masks")) == np.where(levels() >= 128, 255, 0)).all()
    assert (pixels(pictures.mask_png(mask, "classes")) == (levels() >= 128)).all()


def test_of_several_classes_every_kind_has_their_numbers_and_a_palette_their_colours():
    for kind in ("masks", "classes", "palette"):
        assert (pixels(pictures.mask_png(levels(), kind, CLASSES)) == levels()).all()
    picture = Image.open(io.BytesIO(pictures.mask_png(levels(), "palette", CLASSES)))
    colours = np.asarray(picture.convert("RGB"))[0]
    assert picture.mode == "P" and len(np.unique(colours, axis=0)) == 256
    for number in range(1, 15):
        assert colours[number].tobytes().hex() == class_colour(number)[1:].lower()
    assert tuple(colours[0]) == (0, 0, 0) and tuple(colours[IGNORE]) == (128, 128, 128)


def test_a_palette_has_the_chosen_colours_and_keeps_equal_ones_apart():
    classes = [*CLASSES[:1], {**CLASSES[1], "colour": "#0102FF"}, {**CLASSES[2], "colour": "#0102FF"}]
    found = png_palette(classes)
    assert found[3:9].hex() == "0102ff0102fe" and len(found) == 768
    assert len({found[at : at + 3] for at in range(0, 768, 3)}) == 256


@pytest.mark.parametrize("kind", ["masks", "palette"])
def test_an_import_keeps_exported_classes_apart(kind):
    class_map = np.kron(np.arange(6).reshape(2, 3), np.ones((9, 9))).astype(np.uint8)
    found = read_truth(pictures.mask_png(class_map, kind, CLASSES)).values
    pairs = np.unique(np.stack([class_map, found]).reshape(2, -1), axis=1)
    assert pairs.shape == (2, 6) and len(np.unique(pairs[1])) == 6


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
