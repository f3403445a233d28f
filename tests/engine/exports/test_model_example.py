"""The example of an exported model reads pictures as an import does: run as a process, its input is compared."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from engine.core.run_parameters import DataParams
from engine.exports.base import ModelFormat
from engine.exports.model_example import example
from engine.exports.picture_reading import resized, scaled
from engine.imaging.codec import decode_image, resize_image, resize_probability

SIDE = 64
SEEN = ModelFormat(
    name="seen",
    title="What the network sees",
    sentence="A model that stores its input.",
    order=1,
    file="",
    convert=lambda model, path, facts: lambda batch: batch,
    contents="",
    packages="",
    imports="import json",
    load='def predict(batch):\n    np.save("seen.npy", batch)\n    return batch / 255\n\n',
    predict="predict(batch)",
)


def scene(dtype=np.uint8, high=255, channels=3):
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [0.5 + 0.4 * np.sin(9 * x + 5 * y * k + k) for k in range(1, channels + 1)]
    return (np.stack(waves, axis=2) * high).astype(dtype)


def grey(dtype, high):
    return scene(dtype, high, 1)[..., 0]


def png(pixels, mode=None, **options):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "PNG", **options)
    return file.getvalue()


def jpeg_on_its_side():
    exif = Image.Exif()
    exif[274] = 6
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


def palette_with_a_hole():
    file = io.BytesIO()
    Image.fromarray(scene()).quantize(16).save(file, "PNG", transparency=3)
    return file.getvalue()


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def with_holes(values):
    values[:9], values[30, 30] = np.nan, np.inf
    return values


def in_a_border(values):
    values[:, :7] = 0
    return values + np.uint16(20_000) * (values > 0)


def seen(folder, name, data, classes=()):
    (folder / name).write_bytes(data)
    program = example(SEEN, DataParams(framing="stretch"), SIDE, classes=classes)
    (folder / "example.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "example.py", name, "mask.png"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


READ = {
    "rgb.png": lambda: png(scene()),
    "on_its_side.jpg": jpeg_on_its_side,
    "alpha.png": lambda: png(scene(channels=4)),
    "grey_alpha.png": lambda: png(scene(channels=2)),
    "palette_with_a_hole.png": palette_with_a_hole,
    "16_bit.png": lambda: png(grey(np.uint16, 4095)),
    "16_bit_low.png": lambda: png(grey(np.uint16, 200)),
    "16_bit_in_a_border.tif": lambda: tiff(in_a_border(grey(np.uint16, 900))),
    "float.tif": lambda: tiff(with_holes(grey(np.float32, 3000) - np.float32(700))),
    "probability.tif": lambda: tiff(grey(np.float32, 1)),
    "alpha.tif": lambda: tiff(scene(channels=4), photometric="rgb", extrasamples=["unassalpha"]),
    "white_is_zero.tif": lambda: tiff(grey(np.uint8, 255), photometric="miniswhite"),
}
REFUSED = {
    "16_bit_colour.png": (lambda: _deep_png(), "16 bits per channel"),
    "16_bit_colour.tif": (lambda: tiff(scene(np.uint16, 60_000), photometric="rgb"), "more than 8 bits"),
    "planes.tif": (
        lambda: tiff(np.moveaxis(scene(), 2, 0), photometric="rgb", planarconfig="separate"),
        "separate planes",
    ),
    "four_channels.tif": (lambda: tiff(scene(channels=4), photometric="rgb", extrasamples=["unspecified"]), "channels"),
    "white_is_zero_16.tif": (lambda: tiff(grey(np.uint16, 9000), photometric="miniswhite"), "is not read here"),
    "a_text.png": (lambda: b"no picture", "cannot open it"),
}


def _deep_png():
    import cv2

    return cv2.imencode(".png", scene(np.uint16, 60_000))[1].tobytes()


@pytest.mark.parametrize("name", READ)
def test_the_network_of_the_example_sees_the_pixels_that_an_import_gives(tmp_path, name):
    data = READ[name]()
    done = seen(tmp_path, name, data)
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "seen.npy")[0]
    ours = resize_image(decode_image(data), (SIDE, SIDE))
    assert theirs.shape == (SIDE, SIDE, 3) and theirs.std() > 10
    assert np.abs(theirs - ours).max() <= (1 if "float" in name else 0)
    assert (tmp_path / "mask.png").exists()


def test_names_of_classes_stay_text(tmp_path):
    names = ("background", '"""\nraise ValueError', "\\N{x}\u2028ä", "'; raise ValueError #")
    done = seen(tmp_path, "rgb.png", png(scene()), names)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shape", [(46, 64), (64, 46), (150, 210), (430, 600), (10, 420), (291, 37)])
def test_it_resizes_as_the_network_does(shape):
    picture = data.coffee()[:300, :420]
    apart = np.abs(scaled(picture, shape[::-1]) - resize_image(picture, shape))
    assert apart.max() <= (0 if shape == (150, 210) else 1), "at half size every pixel is the same"
    levels = picture[..., 0] / np.float32(255)
    found = resized(levels[..., None], shape[::-1])[..., 0]
    assert np.abs(found - resize_probability(levels, shape)).max() < 1e-5


@pytest.mark.parametrize("name", REFUSED)
def test_the_example_refuses_what_it_would_read_otherwise(tmp_path, name):
    make, reason = REFUSED[name]
    done = seen(tmp_path, name, make())
    assert done.returncode == 1 and not (tmp_path / "mask.png").exists()
    assert done.stderr.startswith(f"{name} is not read: ") and reason in done.stderr
    assert "Traceback" not in done.stderr
