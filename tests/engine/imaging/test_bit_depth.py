"""Deep pixels become 8 bits a few rows at a time: the same values as at once, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine.imaging import bit_depth

DEEP = np.random.default_rng(1).integers(200, 60000, (70, 50, 3)).astype(np.uint16)


@pytest.mark.parametrize("convert", [bit_depth.to_8_bit, bit_depth.truth_to_8_bit, bit_depth.over_white])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_strips_give_what_the_whole_gives(convert, dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = DEEP.astype(dtype) if dtype == np.uint16 else DEEP.astype(dtype) / 65535
    pixels = np.concatenate([pixels, pixels[..., :1]], axis=2) if convert is bit_depth.over_white else pixels
    whole = convert(pixels)
    monkeypatch.setattr(bit_depth, "STRIP_PIXELS", 333)
    np.testing.assert_array_equal(convert(pixels), whole)


def test_what_is_not_a_number_counts_as_0_in_whatever_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_depth, "STRIP_PIXELS", 50)
    pixels = np.full((10, 50, 1), 0.5, np.float32)
    pixels[7, 3], pixels[2, 1] = np.nan, np.inf
    expected = np.full((10, 50, 1), 128, np.uint8)
    expected[7, 3] = expected[2, 1] = 0
    np.testing.assert_array_equal(bit_depth.to_8_bit(pixels), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("convert", [lambda pixels: pixels[..., :3], bit_depth.over_white])
def test_infinite_and_largest_values_give_an_image_without_a_warning(convert, dtype) -> None:
    largest = np.finfo(dtype).max
    for colour in ([np.inf, -np.inf, 0], [np.nan, np.inf, 1], [largest, -largest, largest], [largest] * 3):
        pixels = np.broadcast_to(np.array([*colour, colour[0]], dtype), (9, 8, 4))
        shown = bit_depth.to_8_bit(convert(pixels))
        assert shown.dtype == np.uint8 and shown.shape[:2] == (9, 8)


def test_a_large_deep_picture_takes_little_more_than_its_result() -> None:
    pixels = np.tile(DEEP, (40, 60, 1))  # 8.4 megapixels: 200 MB as float64
    tracemalloc.start()
    try:
        result = bit_depth.to_8_bit(pixels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - result.nbytes < 120e6
