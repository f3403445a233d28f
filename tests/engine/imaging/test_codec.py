"""Every kind of upload becomes upright RGB or grey values; what cannot is refused in one sentence."""

from __future__ import annotations

import io
import threading
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.imaging import codec
from engine.imaging.codec import Limits, UnreadableImage
from tests.assets import bad_files
from tests.assets.bad_files import encoded

PHOTO = bad_files.picture(40, 60)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def cv2_file(extension: str, rgb: np.ndarray) -> bytes:
    code = cv2.COLOR_RGBA2BGRA if rgb.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return cv2.imencode(extension, cv2.cvtColor(rgb, code))[1].tobytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_kinds_come_back_bit_for_bit(kind):
    np.testing.assert_array_equal(codec.decode_image(encoded(PHOTO, kind)), PHOTO)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "MPO"])
def test_lossy_kinds_come_back_nearly(kind):
    image = codec.decode_image(encoded(PHOTO, kind))
    assert image.shape == PHOTO.shape
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - PHOTO).mean() < 12


def test_the_first_frame_of_a_gif_counts():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    image = codec.decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert image[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_exif_orientation_is_applied(orientation, kind):
    quarters = np.zeros((40, 60, 3), np.uint8)
    quarters[:20, :30] = 255  # the upper left corner is white
    as_stored = {
        1: quarters,
        2: quarters[:, ::-1],
        3: quarters[::-1, ::-1],
        4: quarters[::-1],
        5: quarters.swapaxes(0, 1),
        6: np.rot90(quarters, 1),
        7: quarters[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(quarters, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = codec.decode_image(encoded(np.ascontiguousarray(as_stored), kind, exif=exif))
    assert image.shape == (40, 60, 3)
    assert np.abs(image.astype(int) - quarters).mean() < 2


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_of_deep_colour(orientation):
    deep = np.zeros((40, 60, 3), np.uint16)
    deep[:20, :30] = 60000
    stored = {1: deep, 3: deep[::-1, ::-1], 6: np.rot90(deep, 1)}[orientation]
    data = tiff(np.ascontiguousarray(stored), photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    image = codec.decode_image(data)
    assert image.shape == (40, 60, 3)
    assert image[:19, :29].min() == 255
    assert image[21:, 31:].max() == 0


def test_grey_palette_one_bit_and_cmyk():
    grey = PHOTO[..., 0]
    np.testing.assert_array_equal(codec.decode_image(encoded(grey)), np.repeat(grey[..., None], 3, axis=2))
    palette = Image.fromarray(PHOTO).quantize(8)
    np.testing.assert_array_equal(codec.decode_image(encoded(palette)), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(bad_files.disk()).convert("1")
    assert np.unique(codec.decode_image(encoded(bits))).tolist() == [0, 255]
    cmyk = codec.decode_image(encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - PHOTO).mean() < 5


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_lie_on_white(kind):
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[:10] = (200, 0, 0, 255)
    options = {"lossless": True} if kind == "WEBP" else {}
    image = codec.decode_image(encoded(rgba, kind, **options))
    assert image[2, 2].tolist() == [200, 0, 0]
    assert image[15, 15].tolist() == [255, 255, 255]


def test_palette_and_grey_transparency():
    palette = Image.fromarray(np.repeat([[0], [1]], 20, axis=1).repeat(10, axis=0).astype(np.uint8), "L").convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    image = codec.decode_image(encoded(palette, transparency=0))
    assert image[2, 2].tolist() == [255, 255, 255]
    assert image[15, 2].tolist() == [40, 50, 60]
    grey_alpha = Image.merge("LA", [Image.new("L", (20, 20), 100), Image.new("L", (20, 20), 0)])
    assert codec.decode_image(encoded(grey_alpha)).min() == 255


def test_16_bit_grey_is_stretched_over_its_own_range():
    ramp = np.linspace(1000, 3000, 2400).reshape(40, 60).astype(np.uint16)  # a 12-bit camera: dark if divided by 257
    for data in (encoded(ramp, "TIFF"), encoded(ramp, "PNG"), tiff(ramp, byteorder=">")):
        image = codec.decode_image(data)
        assert image.shape == (40, 60, 3)
        assert image.min() == 0
        assert image.max() == 255
        assert abs(int(image[20, 0, 0]) - 127) < 4


def test_one_hot_pixel_does_not_darken_a_deep_image():
    noise = np.random.default_rng(0).integers(1000, 2000, (100, 100)).astype(np.uint16)
    noise[50, 50] = 65535
    assert 120 < codec.decode_image(tiff(noise)).mean() < 136


def test_deep_integers_that_fit_8_bits_and_constant_images_stay_sane():
    small = np.arange(200, dtype=np.uint16).reshape(10, 20)
    np.testing.assert_array_equal(codec.decode_image(tiff(small))[..., 0], small)
    assert codec.decode_image(tiff(np.full((20, 20), 5000, np.uint16))).max() == 0
    sparse = np.full((100, 100), 500, np.uint16)
    sparse[:2, :2] = 900
    assert np.unique(codec.decode_image(tiff(sparse))).tolist() == [0, 255]


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_16_bit_colour_keeps_its_depth(extension):
    dark = (PHOTO.astype(np.uint16) * 3) + 1  # below 768: all black at 8 bits
    image = codec.decode_image(cv2_file(extension, dark))
    assert np.abs(image.astype(int) - PHOTO).max() < 14


def test_16_bit_colour_with_alpha():
    rgba = np.dstack([PHOTO.astype(np.uint16) * 200, np.full((40, 60), 65535, np.uint16)])
    rgba[:10, ..., 3] = 0
    for data in (cv2_file(".png", rgba), tiff(rgba, photometric="rgb", extrasamples=["unassalpha"])):
        assert codec.decode_image(data)[:10].min() == 255


def test_float_and_32_bit_tiff():
    ramp = np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60)
    np.testing.assert_allclose(codec.decode_image(tiff(ramp))[..., 0], ramp * 255, atol=0.51)
    holes = ramp * 1000 - 300
    holes[0, 0], holes[0, 1] = np.nan, np.inf
    image = codec.decode_image(tiff(holes))
    assert (image.min(), image.max()) == (0, 255)
    colour = np.repeat(ramp[..., None], 3, axis=2)
    np.testing.assert_allclose(codec.decode_image(tiff(colour, photometric="rgb")), colour * 255, atol=0.51)
    planes = np.moveaxis((colour * 4e9).astype(np.uint32), -1, 0)
    image = codec.decode_image(tiff(planes, photometric="rgb", planarconfig="separate"))
    assert image.shape == (40, 60, 3)
    assert image.max() == 255
    signed = (ramp * 2000 - 1000).astype(np.int16)
    assert abs(int(codec.decode_image(tiff(signed))[20, 0, 0]) - 127) < 4


def test_only_the_first_page_of_a_tiff_is_read():
    stack = np.stack([np.full((30, 30), value, np.uint8) for value in (10, 200)])
    assert codec.decode_image(tiff(stack)).max() == 10


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (bad_files.text_named_jpg(), "text file"),
        (bytes(range(256)) * 4, "not an image"),
        (bad_files.truncated_jpeg(), "damaged or cut short"),
        (encoded(bad_files.picture(99, 99))[:-300], "damaged or cut short"),
        (encoded(bad_files.picture(99, 99), "BMP")[:-300], "damaged or cut short"),
        (encoded(bad_files.picture(99, 99), "TIFF")[:-300], "damaged or cut short"),
        (encoded(bad_files.picture(99, 99), "WEBP")[:-300], "damaged or cut short"),
        (encoded(bad_files.picture(99, 99), "GIF")[:300], "damaged or cut short"),
        (bad_files.png_claiming(500, 500), "damaged or cut short"),
        (bad_files.png_claiming(20_000, 20_000), r"20000 × 20000 pixels \(400 megapixels\).*100 megapixels"),
        (bad_files.png_claiming(12_000, 12_000), "144 megapixels"),
        (encoded(np.zeros((1, 1, 3), np.uint8)), "1 × 1 pixels"),
        (b"II*\0" + b"\xff" * 60, "damaged or cut short"),
        (cv2_file(".png", bad_files.picture(99, 99).astype(np.uint16) * 200)[:-300], "damaged or cut short"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(data, sentence):
    with pytest.raises(UnreadableImage, match=sentence) as caught:
        codec.decode_image(data)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_limits_can_be_chosen():
    with pytest.raises(UnreadableImage, match=r"0\.001 megapixels"):
        codec.decode_image(encoded(PHOTO), Limits(max_pixels=1000))
    assert codec.decode_image(encoded(np.zeros((1, 1, 3), np.uint8)), Limits(min_side_px=1)).shape == (1, 1, 3)


def test_nothing_process_wide_is_left_changed():
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    threads = [threading.Thread(target=codec.decode_image, args=(encoded(PHOTO),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(UnreadableImage):
        codec.decode_image(bad_files.truncated_jpeg())
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_png_round_trip():
    for pixels in (PHOTO, PHOTO[..., 0], np.zeros((1, 3), np.uint8)):
        np.testing.assert_array_equal(codec.decode_png(codec.encode_png(pixels)), pixels)
    with pytest.raises(UnreadableImage):
        codec.decode_png(b"nothing")
    with pytest.raises(ValueError, match="float32"):
        codec.encode_png(np.zeros((4, 4), np.float32))


def test_a_thumbnail_is_webp_with_192_px_on_its_longest_side():
    with Image.open(io.BytesIO(codec.thumbnail(bad_files.picture(400, 600)))) as small:
        assert (small.format, small.size) == ("WEBP", (192, 128))
    with Image.open(io.BytesIO(codec.thumbnail(PHOTO))) as small:
        assert small.size == (60, 40)
    with Image.open(io.BytesIO(codec.thumbnail(np.zeros((2, 4000, 3), np.uint8)))) as small:
        assert small.size == (192, 1)


def test_resizing_keeps_meaning():
    classes = np.array([[0, 7], [7, 20]], np.uint8)
    assert np.unique(codec.resize_class_map(classes, (31, 17))).tolist() == [0, 7, 20]
    mask = bad_files.disk(60, 80) > 0
    small = codec.resize_mask(mask, (30, 40))
    assert small.dtype == bool
    assert abs(small.mean() - mask.mean()) < 0.01
    probability = np.linspace(0, 1, 4800, dtype=np.float32).reshape(60, 80)
    resized = codec.resize_probability(probability, (90, 100))
    assert resized.dtype == np.float32
    assert abs(resized.mean() - 0.5) < 0.01
    assert codec.resize_image(PHOTO, (20, 30)).shape == (20, 30, 3)
