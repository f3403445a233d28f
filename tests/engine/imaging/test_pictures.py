"""Kinds of picture files that Pillow reads, and sentences for kinds that are not read."""

from __future__ import annotations

import builtins

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from engine.imaging import codec
from engine.imaging.codec import UnreadableImage
from engine.imaging.limits import MOST_PAGES
from tests.assets.bad_files import encoded, picture


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000"])
def test_newer_kinds(kind):
    image = codec.decode_image(encoded(picture(), kind))
    assert np.abs(image.astype(int) - picture()).mean() < 12


def test_deep_colour_of_jpeg_2000_keeps_its_depth():
    dark = picture().astype(np.uint16) * 3
    image = codec.decode_image(imagecodecs.jpeg2k_encode(dark, level=0))
    assert np.abs(image.astype(int) - picture()).max() < 14


def test_a_second_picture_of_a_photograph_is_no_page():
    data = encoded(picture(), "MPO", save_all=True)
    assert codec.decode_pixels(data).pages == 1


def test_heic_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch):
    original = builtins.__import__

    def without(name: str, *args: object, **options: object):
        if name == "pi_heif":
            raise ImportError(name)
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnreadableImage, match=r"HEIC .* pip install .pi-heif=="):
        codec.decode_image(b"\0\0\0\x18ftypheic" + bytes(500))


def test_damaged_heic_with_its_package():
    pytest.importorskip("pi_heif")
    with pytest.raises(UnreadableImage, match="damaged"):
        codec.decode_image(b"\0\0\0\x18ftypheic" + bytes(500))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x93NUMPY" + bytes(100), "a NumPy array"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"\x1f\x8b\x08" + bytes(100), "a gzip file"),
    ],
)
def test_other_kinds_are_named(data, sentence):
    with pytest.raises(UnreadableImage, match=f"{sentence}; images are JPEG"):
        codec.decode_image(data)


def test_frames_of_a_gif_are_counted_up_to_a_limit():
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(5)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert codec.count_pages(data) == codec.decode_pixels(data).pages == 5
    one = encoded(Image.new("L", (8, 8)), "GIF")
    at = one.index(b"\x2c", 13 + 3 * 2)
    assert codec.count_pages(one[:at] + one[at:-1] * 1_000_000 + b";") == MOST_PAGES
