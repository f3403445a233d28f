"""What truth files of many codings say about each pixel."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.datasets import truth
from engine.datasets.truth_codes import OTHERS, TruthCodes
from engine.datasets.truth_file import read_truth, sharpened
from engine.imaging.class_maps import IGNORE
from engine.imaging.codec import UnreadableImage
from tests.assets.bad_files import disk, encoded, picture
from tests.assets.bad_images import tiff

INSIDE = disk() > 0
CLASSES = np.where(INSIDE, 1, 0)
CLASSES[:10, :20] = 2
CLASSES[30:, 40:] = 3


def stored(*files: bytes, codes: TruthCodes | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the codes and the classes that an import of these files would give."""
    codes = codes or TruthCodes()
    values = [codes.encode(read_truth(data)) for data in files]
    facts = truth.facts(truth.value_rows(value) for value in values)
    lookup = truth.propose_classes(facts, dict(codes.table)).lookup
    return values, [np.asarray(lookup, np.uint8)[value] for value in values]


def in_palette(index: np.ndarray, colours: list[tuple[int, int, int]], kind: str = "PNG") -> bytes:
    image = Image.fromarray(index.astype(np.uint8)).convert("P")
    image.putpalette([channel for colour in colours for channel in colour])
    return encoded(image, kind)


def test_grey_keeps_its_values():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read_truth(encoded(values, kind)).values, values)
    as_colour = np.repeat(values[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_truth(encoded(as_colour)).values, values)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_the_same_colour_is_the_same_class_whatever_its_number_in_the_palette(kind):
    red_first = in_palette(np.where(INSIDE, 0, 1), [(255, 0, 0), (0, 0, 0)], kind)
    black_first = in_palette(np.where(INSIDE, 1, 0), [(0, 0, 0), (255, 0, 0)], kind)
    in_colour = encoded(np.where(INSIDE[..., None], np.uint8([254, 0, 0]), np.uint8([0, 0, 0])))
    _, classes = stored(red_first, black_first, in_colour)
    for found in classes:
        np.testing.assert_array_equal(found > 0, INSIDE)


def test_palette_numbers_are_kept_as_codes_where_they_are_free():
    index = np.where(INSIDE, 15, 0)
    colours = [(0, 0, 0)] * 15 + [(192, 128, 128)]
    [values], _ = stored(in_palette(index, colours))
    np.testing.assert_array_equal(values, index)


def test_a_palette_of_greys_gives_its_greys():
    [values], _ = stored(in_palette(CLASSES > 0, [(0, 0, 0), (255, 255, 255)]))
    assert np.unique(values).tolist() == [0, 255]


def test_the_border_colour_of_pascal_voc_is_ignored():
    index = np.where(INSIDE, 15, 0)
    index[20:22] = 255
    colours = [(0, 0, 0)] * 15 + [(192, 128, 128)] + [(0, 0, 0)] * 239 + [(224, 224, 192)]
    _, [classes] = stored(in_palette(index, colours))
    assert np.unique(classes).tolist() == [0, 1, IGNORE]
    assert (classes[20:22] == IGNORE).all()


@pytest.mark.parametrize("quality", [60, 85, 95])
def test_colours_survive_jpeg(quality):
    colours = np.uint8([[0, 0, 0], [128, 0, 0], [64, 0, 128], [192, 192, 128]])
    large = CLASSES.repeat(6, axis=0).repeat(6, axis=1)
    files = [
        encoded(colours[np.roll(large, shift, axis=1)], "JPEG", quality=quality, subsampling=0) for shift in (0, 30)
    ]
    _, found = stored(*files)
    for shift, classes in zip((0, 30), found, strict=True):
        expected = np.roll(large, shift, axis=1)
        assert len(np.unique(classes)) == 4
        assert ((classes > 0) == (expected > 0)).mean() > 0.985
    for number in (1, 2, 3):  # one class, the same in both files
        meant = [
            classes[np.roll(large, shift, axis=1) == number] for shift, classes in zip((0, 30), found, strict=True)
        ]
        assert len({int(np.bincount(part).argmax()) for part in meant}) == 1


def test_dark_and_rare_colours_are_classes():
    colours = np.uint8([[0, 0, 0], [255, 255, 255], [0, 0, 60], [70, 70, 70]])
    _, [classes] = stored(encoded(colours[CLASSES]))
    assert len(np.unique(classes)) == 4
    np.testing.assert_array_equal(classes > 0, CLASSES > 0)


def test_smooth_edges_of_a_colour_belong_to_the_nearest():
    large = cv2.resize(disk(), (256, 192), interpolation=cv2.INTER_NEAREST)
    smooth = cv2.GaussianBlur(large, (0, 0), 1.5)
    _, [classes] = stored(encoded(np.dstack([smooth, smooth // 2, np.zeros_like(smooth)])))
    np.testing.assert_array_equal(classes > 0, smooth >= 128)


def test_opacity_is_the_mask_where_only_it_says_what_is_meant():
    for colour in (np.zeros((*INSIDE.shape, 3), np.uint8), picture()):
        [values], [classes] = stored(encoded(np.dstack([colour, disk()])))
        np.testing.assert_array_equal(values, disk())
    opaque = np.dstack([disk(), disk(), disk(), np.full_like(disk(), 255)])
    np.testing.assert_array_equal(read_truth(encoded(opaque)).values, disk())
    coloured = np.where(INSIDE[..., None], np.uint8([0, 200, 0]), np.uint8([200, 0, 0]))
    alpha = np.full_like(disk(), 255)
    alpha[:8] = 0
    _, [classes] = stored(encoded(np.dstack([coloured, alpha])))
    assert len(np.unique(classes)) == 3
    assert (classes[:8] == 0).all()


def test_deep_values():
    ones = disk(value=1).astype(np.uint16)
    np.testing.assert_array_equal(read_truth(tiff(ones)).values, ones)
    np.testing.assert_array_equal(read_truth(encoded(ones * 65535)).values, ones * 255)
    np.testing.assert_array_equal(read_truth(tiff(ones.astype(np.float32))).values, ones * 255)
    np.testing.assert_array_equal(read_truth(tiff(ones.astype(np.float32) * 20)).values, ones * 20)
    nothing = np.where(INSIDE, 1, np.nan).astype(np.float32)
    np.testing.assert_array_equal(read_truth(tiff(nothing)).values, ones * 255)
    soft = cv2.GaussianBlur(disk(192, 256), (0, 0), 3).astype(np.uint16) * 256
    assert np.abs(read_truth(tiff(soft)).values.astype(int) - soft // 257).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.float32])
def test_ids_above_255_are_ids(dtype):
    ids = (CLASSES * 1000).astype(dtype)
    values, [classes] = stored(tiff(ids))
    assert len(np.unique(values)) == 4
    np.testing.assert_array_equal(classes > 0, CLASSES > 0)


def test_negative_ids_are_ignored():
    ids = CLASSES.astype(np.int16)
    ids[:3] = -1
    _, [classes] = stored(tiff(ids))
    assert (classes[:3] == IGNORE).all()
    np.testing.assert_array_equal(classes[3:], CLASSES[3:])


def test_ids_keep_their_codes_in_a_later_import():
    first = TruthCodes()
    before = first.encode(read_truth(tiff((CLASSES * 1000).astype(np.uint16))))
    later = TruthCodes(first.table)
    after = later.encode(read_truth(tiff((CLASSES[::-1] * 1000 + 253 * (CLASSES[::-1] == 0)).astype(np.uint16))))
    for number in (1, 2, 3):
        assert set(before[number == CLASSES]) == set(after[CLASSES[::-1] == number])
    assert not set(before[CLASSES > 0]) & set(after[CLASSES[::-1] == 0])


def test_more_ids_than_codes_share_the_last():
    ids = np.arange(400, dtype=np.uint16).reshape(20, 20).repeat(4, axis=0).repeat(4, axis=1)
    codes = TruthCodes()
    values = codes.encode(read_truth(tiff(ids)))
    assert set(np.unique(values)) <= {*range(OTHERS + 1), IGNORE}
    assert (values[ids > 0] > 0).all()
    assert (values == OTHERS).sum() > 100


def test_pages_of_one_object_each_are_joined():
    pages = np.stack([np.where(number == CLASSES, 255, 0).astype(np.uint8) for number in (1, 2, 3)])
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pages, photometric="minisblack")
    found = read_truth(buffer.getvalue())
    np.testing.assert_array_equal(found.values, np.where(CLASSES > 0, 255, 0))
    assert found.note == "Its 3 pages were joined."
    np.testing.assert_array_equal(read_truth(buffer.getvalue(), page=1).values, pages[1])


def test_a_photograph_is_no_mask():
    noisy = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    with pytest.raises(UnreadableImage, match="colours, so it is no mask"):
        read_truth(encoded(noisy))


def test_ids_in_the_channels_of_a_colour_image_are_ids():
    cells = np.arange(1, 26).repeat(64).reshape(5, 5, 8, 8).transpose(0, 2, 1, 3).reshape(40, 40)
    cells[::8], cells[:, ::8] = 0, 0
    nothing = np.zeros_like(cells)
    values, classes = stored(encoded(np.dstack([cells, nothing, nothing, nothing + 255]).astype(np.uint8)))
    np.testing.assert_array_equal(values[0], cells)
    np.testing.assert_array_equal(classes[0] > 0, cells > 0)
    panoptic = np.dstack([cells * 11 % 256, cells * 11 // 256, nothing]).astype(np.uint8)
    panoptic[cells == 1] = (1, 0, 0)
    _, classes = stored(encoded(panoptic))
    np.testing.assert_array_equal(classes[0] > 0, cells > 0)


def test_black_on_a_transparent_palette_entry_is_foreground():
    image = Image.fromarray(INSIDE.astype(np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    clear, opaque = encoded(image, "PNG", transparency=0), encoded(image, "PNG", transparency=7)
    _, classes = stored(clear)
    np.testing.assert_array_equal(classes[0] > 0, INSIDE)
    _, classes = stored(opaque)
    np.testing.assert_array_equal(classes[0] > 0, ~INSIDE)


def test_soft_edges_are_sharpened_so_that_they_mean_the_same_beside_0_and_1():
    as_jpeg = read_truth(encoded(disk(), "JPEG", quality=70))
    smooth = read_truth(encoded(cv2.GaussianBlur(disk(), (5, 5), 1)))
    for file in (as_jpeg, smooth):
        assert set(np.unique(sharpened(file).values)) == {0, 255}
        assert ((sharpened(file).values > 0) != INSIDE).mean() < 0.02


def test_values_that_are_meant_are_not_sharpened():
    boundary = disk()
    boundary[(cv2.dilate(boundary, np.ones((3, 3), np.uint8)) > 0) & (boundary == 0)] = 128
    ids = np.arange(1, 26, dtype=np.uint8).repeat(64).reshape(5, 5, 8, 8).transpose(0, 2, 1, 3).reshape(40, 40)
    ids[::8] = 255
    grey_part = cv2.GaussianBlur(disk(), (5, 5), 1)
    grey_part[:10, :10] = 128
    for values in (boundary, ids, grey_part):
        np.testing.assert_array_equal(sharpened(read_truth(encoded(values))).values, values)
