"""Masks whose objects vanish at the network's size are counted, on drawn masks with a known answer."""

import numpy as np
import pytest

from engine.core.run_parameters import DataParams
from engine.imaging.class_maps import IGNORE
from engine.imaging.codec import encode_png
from engine.training.vanishing import MOST_IMAGES, Vanished, vanished, vanishing_note
from tests.support.training_samples import LOOKUP, tiny

PAD = DataParams()


def stored(folder, *masks):
    paths = []
    for number, mask in enumerate(masks):
        path = folder / f"{number}.png"
        path.write_bytes(encode_png(mask))
        paths.append(path)
    return paths


def square(side_px, level=255, size_px=256):
    mask = np.zeros((size_px, size_px), np.uint8)
    mask[100 : 100 + side_px, 100 : 100 + side_px] = level
    return mask


def test_specks_vanish_and_larger_objects_stay(tmp_path):
    paths = stored(tmp_path, square(2), square(2), square(40), square(0))
    assert vanished(paths, LOOKUP, PAD, 32) == Vanished(with_objects=3, lost=2, enough=128)
    assert vanished(paths, LOOKUP, PAD, 128) == Vanished(with_objects=3, lost=0)
    assert vanished(paths, LOOKUP, DataParams(framing="tiles"), 32).lost == 0
    assert vanished(paths, LOOKUP, DataParams(framing="tiles", tile_scale=0.1), 32) == Vanished(3, 2, 0.8)


def test_pseudo_labels_and_ignored_pixels_count_as_training_sees_them(tmp_path):
    soft = stored(tmp_path, square(40, level=120), square(40, level=140))
    assert vanished(soft, None, PAD, 64) == Vanished(with_objects=1, lost=0)
    lookup = tuple(IGNORE if value == 255 else int(value == 140) for value in range(256))
    assert vanished(stored(tmp_path, square(40), square(40, level=140)), lookup, PAD, 64).with_objects == 1


def test_the_note_says_where_and_what_to_change(tmp_path):
    paths = stored(tmp_path, square(2), square(40))
    shapes = [(256, 256)] * 2
    note = vanishing_note(paths, shapes, LOOKUP, tiny(model={"image_size": 32}))
    assert note.startswith("In 1 of 2 images with objects, no object is left at 32 px: ")
    assert "a larger image size (at 128 px each of these images keeps some) or the framing “tiles”" in note
    assert vanishing_note(paths, shapes, LOOKUP, tiny(model={"image_size": 128})) == ""
    tiles = tiny(data={"framing": "tiles", "tile_scale": 0.1})
    assert "at tile scale 0.1: " in vanishing_note(paths, shapes, LOOKUP, tiles)
    assert "framing" not in vanishing_note(paths, shapes, LOOKUP, tiles)


@pytest.mark.parametrize(
    ("shape", "read"), [((256, 256), MOST_IMAGES), ((2000, 2000), 6), ((40_000, 40_000), 1), ((1, 1), MOST_IMAGES)]
)
def test_of_many_or_large_masks_a_sample_is_read_and_said(tmp_path, shape, read):
    paths = stored(tmp_path, square(2)) * 1_000
    note = vanishing_note(paths, [shape] * 1_000, LOOKUP, tiny())
    assert note.startswith(f"In {read} of {read} images with objects, no object is left")
    assert note.endswith(f" {read} of 1,000 masks were looked at.")


def test_nothing_to_read_and_missing_files_give_no_note(tmp_path):
    assert vanishing_note([], [], LOOKUP, tiny()) == ""
    assert vanishing_note([tmp_path / "gone.png"], [(9, 9)], LOOKUP, tiny()) == ""
