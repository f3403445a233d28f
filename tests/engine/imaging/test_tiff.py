"""Kinds of TIFF that cameras, microscopes and maps write come back as their makers meant them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.imaging import codec
from engine.imaging.codec import ImageOptions, Limits, UnreadableImage
from tests.assets.bad_files import disk, encoded, picture
from tests.assets.bad_images import COMPRESSIONS, packed_tiff, tiff, tiff_pyramid

GREY = picture(48, 64).mean(axis=2) / 255
COLOUR = picture(48, 64) / 255
NIR = np.roll(GREY, 20, axis=1)


def resembles(image: np.ndarray, reference: np.ndarray, where: np.ndarray | bool = True) -> bool:
    """Return whether grey or colour goes with the reference in [0, 1] and its contrast is used."""
    where = np.broadcast_to(where, reference.shape[:2])
    meant = reference if reference.ndim == 3 else np.repeat(reference[..., None], 3, axis=2)
    shown, meant = image[where].astype(float).ravel(), meant[where].ravel()
    low, high = np.percentile(shown, (2, 98))
    return bool(np.corrcoef(shown, meant)[0, 1] > 0.98 and high - low > 90)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_of_every_depth_is_brighter_where_its_maker_meant_it(dtype, photometric):
    low, high = (-0.5, 2.5) if np.dtype(dtype).kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    stored = 1 - GREY if photometric == "miniswhite" else GREY
    values = (low + stored * (float(high) - float(low))).astype(dtype)
    assert resembles(codec.decode_image(tiff(values, photometric=photometric)), GREY)


def test_white_is_zero_in_12_bits_1_bit_and_unit_floats():
    dark = ((1 - GREY) * 4095).astype(np.uint16)
    assert resembles(codec.decode_image(tiff(dark, photometric="miniswhite")), GREY)
    unit = codec.decode_image(tiff((1 - GREY).astype(np.float32), photometric="miniswhite"))
    np.testing.assert_allclose(unit[..., 0], GREY * 255, atol=0.6)
    for photometric, white in (("minisblack", 255), ("miniswhite", 0)):
        bits = codec.decode_image(tiff(disk() > 0, photometric=photometric))
        assert (bits[..., 0] == np.where(disk() > 0, white, 255 - white)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_one_to_five_channels(dtype, planes, channels):
    scale = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    stack = (np.dstack([COLOUR, NIR, NIR])[..., :channels] * scale).astype(dtype)
    stored = stack if planes == "contig" else np.ascontiguousarray(np.moveaxis(stack, -1, 0))
    data = tiff(stored.squeeze(), photometric="minisblack", planarconfig=planes if channels > 1 else None)
    image, note, _ = codec.read_image(data)
    assert resembles(image, COLOUR if channels >= 3 else COLOUR[..., 0])
    assert (f"has {channels} channels" in note) == (channels in (2, 4, 5))


def test_a_fourth_channel_is_opacity_only_where_the_file_says_so():
    stack = (np.dstack([COLOUR, NIR]) * 60000).astype(np.uint16)
    plain = codec.decode_image(tiff(stack, photometric="rgb", extrasamples=["unspecified"]))
    assert resembles(plain, COLOUR)
    for kind in ("unassalpha", "assocalpha"):
        stored = stack.copy()
        stored[:10, :, 3], stored[10:, :, 3] = 0, 65535
        image = codec.decode_image(tiff(stored, photometric="rgb", extrasamples=[kind]))
        assert image[:10].min() == 255 and resembles(image[10:], COLOUR[10:])
    five = np.dstack([stack, np.full_like(stack[..., :1], 65535)])
    opaque = codec.decode_image(tiff(five, photometric="rgb", extrasamples=["unspecified", "unassalpha"]))
    assert resembles(opaque, COLOUR)


def test_channels_can_be_chosen():
    data = tiff(
        np.dstack([(COLOUR * 255), NIR * 255]).astype(np.uint8), photometric="minisblack", planarconfig="contig"
    )
    assert resembles(codec.decode_image(data, options=ImageOptions((3,))), NIR)
    mixed = codec.decode_image(data, options=ImageOptions((3, 0, 1)))
    assert resembles(mixed, np.dstack([NIR, COLOUR[..., 0], COLOUR[..., 1]]))
    two = codec.decode_image(data, options=ImageOptions((3, 0)))
    assert two[..., 2].max() == 0 and two.shape[2] == 3
    mean = codec.decode_image(data, options=ImageOptions("mix"))
    assert resembles(mean, np.dstack([COLOUR, NIR]).mean(axis=2))
    with pytest.raises(UnreadableImage, match="has no channel 5; it has 4"):
        codec.decode_image(data, options=ImageOptions((4,)))


@pytest.mark.parametrize("method", COMPRESSIONS)
def test_compression_methods(method):
    assert resembles(codec.decode_image(packed_tiff(method)), picture() / 255)


def test_cmyk_lab_and_ycbcr():
    small = Image.fromarray(picture(48, 64))
    for mode in ("CMYK", "LAB", "YCbCr"):
        image = codec.decode_image(encoded(small.convert(mode), "TIFF", compression="tiff_lzw"))
        assert np.abs(image.astype(int) - picture(48, 64)).mean() < 6, mode
    assert codec.decode_image(tiff(picture(48, 64), photometric="rgb", compression="jpeg")).shape == (48, 64, 3)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, -9999, -3.4028235e38])
def test_what_is_no_measurement_is_black_and_takes_no_contrast(hole):
    values = (1000 + GREY * 100).astype(np.float32)
    values[:, :10] = hole
    image = codec.decode_image(tiff(values))
    assert image[:, :10].max() == 0
    assert resembles(image, GREY, np.arange(64) >= 10)


def test_the_nodata_value_that_a_map_names_is_left_out():
    values = (30000 + GREY * 400).astype(np.uint16)
    values[:, :10] = 65000
    image = codec.decode_image(tiff(values, extratags=[(42113, "s", 0, "65000", True)]))
    assert image[:, :10].max() == 0
    assert resembles(image, GREY, np.arange(64) >= 10)


def test_a_border_of_zeros_takes_no_contrast_and_an_object_far_above_stays_white():
    values = (30000 + GREY * 500).astype(np.uint16)
    values[:, :10] = 0
    assert resembles(codec.decode_image(tiff(values)), GREY, np.arange(64) >= 10)
    bright = np.random.default_rng(0).integers(300, 800, (48, 64)).astype(np.uint16)
    bright[20:30, 20:30] = 65535
    assert codec.decode_image(tiff(bright))[20:30, 20:30].min() == 255


def test_hot_pixels_take_no_contrast():
    values = (GREY * 300).astype(np.uint16)
    hot = np.random.default_rng(1).random(values.shape) < 0.004
    values[hot] = 65535
    image = codec.decode_image(tiff(values))
    assert resembles(image, GREY, ~hot) and image[hot].min() == 255


def test_a_pyramid_is_its_largest_level():
    image, note, _ = codec.read_image(tiff_pyramid())
    np.testing.assert_array_equal(image, picture())
    assert note == ""


def stacks() -> dict[str, bytes]:
    slices = np.stack([np.full((20, 30), value, np.uint16) + disk(20, 30) for value in (100, 300, 200)])
    plain = {"photometric": "minisblack"}
    return {
        "directories": tiff(slices, **plain),
        "one directory": tiff(slices, truncate=True, **plain),
        "ImageJ": tiff(slices, imagej=True),
        "ImageJ, one directory": tiff(slices, imagej=True, truncate=True),
        "OME": tiff(slices, ome=True, metadata={"axes": "ZYX"}, **plain),
        "volume": tiff(slices, volumetric=True, tile=(1, 16, 16), **plain),
    }


@pytest.mark.parametrize("kind", stacks())
def test_pages_of_a_stack(kind):
    data = stacks()[kind]
    assert codec.count_pages(data) == 3
    assert [int(codec.decode_pixels(data, page=page).values.min()) for page in range(3)] == [100, 300, 200]
    _, note, _ = codec.read_image(data)
    assert note == "It has 3 pages; page 1 was taken."
    assert codec.read_image(data, options=ImageOptions(page=1))[1] == ""
    with pytest.raises(UnreadableImage, match="has no page 4; it has 3"):
        codec.decode_image(data, options=ImageOptions(page=3))


def test_the_maximum_of_all_pages():
    first, second = np.zeros((2, 20, 30), np.uint8)
    first[:5], second[10:] = 90, 200
    image = codec.decode_image(
        tiff(np.stack([first, second]), photometric="minisblack"), options=ImageOptions(page="max")
    )
    assert (image[2, 2, 0], image[7, 2, 0], image[15, 2, 0]) == (90, 0, 200)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(first)
        writer.write(second[:, :20])
    with pytest.raises(UnreadableImage, match=r"pages differ in size or depth \(page 2\)"):
        codec.decode_image(buffer.getvalue(), options=ImageOptions(page="max"))


def test_pages_of_an_animation():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert codec.decode_image(data, options=ImageOptions(page=1))[5, 5].tolist() == [0, 0, 255]


def test_a_palette_is_kept_on_demand():
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 1], colours[:, 2] = (65535, 0, 0), (0, 0, 40000)
    indices = (np.arange(400) % 3).reshape(20, 20).astype(np.uint8)
    data = tiff(indices, photometric="palette", colormap=colours)
    kept = codec.decode_pixels(data, keep_palette=True)
    np.testing.assert_array_equal(kept.values[..., 0], indices)
    assert kept.palette[:3].tolist() == [[0, 0, 0], [255, 0, 0], [0, 0, 156]]
    np.testing.assert_array_equal(codec.decode_image(data), kept.palette[indices])


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_of_every_depth(orientation):
    for dtype in (np.uint8, np.uint16, np.float32):
        corner = np.zeros((20, 30), dtype)
        corner[:10, :15] = 200
        stored = {1: corner, 3: corner[::-1, ::-1], 6: np.rot90(corner, 1), 8: np.rot90(corner, -1)}[orientation]
        data = tiff(np.ascontiguousarray(stored), extratags=[(274, "H", 1, orientation, True)])
        image = codec.decode_image(data)
        assert image.shape[:2] == (20, 30)
        assert image[2, 2, 0] > 190 and image[15, 20].max() == 0


@pytest.mark.parametrize(
    ("options", "size_um", "source"),
    [
        ({"resolution": (50_000, 25_000), "resolutionunit": "CENTIMETER"}, (0.2, 0.4), "TIFF resolution"),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, (84.666, 84.666), "TIFF resolution"),
        ({"imagej": True, "resolution": (5, 5), "metadata": {"unit": "um"}}, (0.2, 0.2), "ImageJ"),
        ({"imagej": True, "resolution": (0.002, 0.002), "metadata": {"unit": "nm"}}, (0.5, 0.5), "ImageJ"),
        (
            {"ome": True, "metadata": {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5}},
            (0.25, 0.5),
            "OME",
        ),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None, ""),
        ({"resolution": (1, 1), "resolutionunit": "NONE"}, None, ""),
        ({"imagej": True, "resolution": (5, 5), "metadata": {"unit": "pixel"}}, None, ""),
    ],
)
def test_pixel_size(options, size_um, source):
    size = codec.read_image(tiff(disk().astype(np.uint16), **options))[2]
    if size_um is None:
        assert size is None
    else:
        assert (size.width_um, size.height_um) == pytest.approx(size_um, rel=1e-3)
        assert size.source == source


def test_pixel_size_from_exif():
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 1000.0, 500.0, 3
    size = codec.read_image(encoded(picture(), "JPEG", exif=exif))[2]
    assert (size.width_um, size.height_um, size.source) == (10, 20, "EXIF")
    exif[274] = 6  # the image is turned upright, and its pixels with it
    assert codec.read_image(encoded(picture(), "JPEG", exif=exif))[2].width_um == 20


def test_what_unpacks_to_too_much_is_refused_by_its_header():
    wide = tiff(np.zeros((9, 16, 16), np.float64), photometric="minisblack", planarconfig="separate")
    with pytest.raises(UnreadableImage, match="unpacks to"):
        codec.decode_image(wide, Limits(max_pixels=256))
