"""Label maps as TIFF, read by tifffile and by the decoder of imports: numbers and pixel size come back."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
import tifffile

from engine.exports.base import find_format
from engine.exports.formats.label_maps import label_map
from engine.exports.measured import ObjectImage
from engine.exports.measured_images import MeasuredImage
from engine.imaging.codec import Limits
from engine.imaging.tiff import read_tiff
from engine.measuring.measurements import Scale
from tests.support.measured_objects import EMPTY, MAPS, SCALES, measured_objects, names_of


def written(source, folder):
    done = []
    find_format("label-maps").write(source, folder / "maps.zip", done.append)
    assert done == list(range(1, len(source.images) + 1))
    archive = zipfile.ZipFile(folder / "maps.zip")
    assert archive.testzip() is None
    return archive


def test_every_number_comes_back_under_a_safe_name(tmp_path):
    archive = written(measured_objects(tmp_path), tmp_path)
    names = names_of(archive)
    assert [names[name][0] for name in MAPS] == ["Zelle ä.tif", "Zelle ä-2.tif", "leer.tif", "=1+1 🥚.tif"]
    for name, labels in MAPS.items():
        file, count = names[name]
        pixels = tifffile.imread(io.BytesIO(archive.read(file)))
        assert pixels.dtype == np.uint16 and count == labels.max()
        assert (pixels == labels).all()


def test_the_pixel_size_is_in_the_resolution_and_in_the_ome_metadata(tmp_path):
    archive = written(measured_objects(tmp_path), tmp_path)
    for name, (file, _) in names_of(archive).items():
        content = archive.read(file)
        size = read_tiff(content, Limits(min_side_px=1)).pixel_size
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            assert tiff.is_ome
            page = tiff.pages[0]
            if name not in SCALES:
                assert size is None and page.tags["ResolutionUnit"].value == 1
                continue
            scale = SCALES[name]
            per_cm = page.get_resolution(unit="CENTIMETER")
        assert (size.width_um, size.height_um) == pytest.approx((scale.width_um, scale.height_um))
        assert [10_000 / each for each in per_cm] == pytest.approx([scale.width_um, scale.height_um])


def test_numbers_above_16_bits_are_written_with_32():
    many = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    for labels, depth in ((many, np.uint32), (np.minimum(many, 65_535), np.uint16)):
        image = ObjectImage(1, "many.png", 300, 300, "key", Scale(0.1, 0.1, "user"))
        pixels = tifffile.imread(io.BytesIO(label_map(MeasuredImage(image, labels, pd.DataFrame()), "many")))
        assert pixels.dtype == depth and (pixels == labels).all()


def test_images_without_objects_have_label_maps(tmp_path):
    archive = written(measured_objects(tmp_path, EMPTY), tmp_path)
    for name, labels in EMPTY.items():
        file, count = names_of(archive)[name]
        assert count == 0 and (tifffile.imread(io.BytesIO(archive.read(file))) == labels).all()
