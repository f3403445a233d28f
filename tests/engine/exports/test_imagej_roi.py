"""ROIs of ImageJ, read by roifile: each encloses exactly the pixels of its object, in zips that ImageJ opens."""

import io
import zipfile

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi, roiread

from engine.exports.base import find_format
from tests.support.measured_objects import EMPTY, MAPS, class_of, enclosed, measured_objects, names_of


def written(source, folder):
    done = []
    find_format("imagej-roi").write(source, folder / "rois.zip", done.append)
    assert done == list(range(1, len(source.images) + 1))
    return zipfile.ZipFile(folder / "rois.zip")


def rois(content):
    """Return {name in the zip: ROI} of one image."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return {name: ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()}


@pytest.mark.parametrize("name", [name for name in MAPS if MAPS[name].any()])
def test_each_roi_encloses_exactly_its_object(tmp_path, name):
    archive = written(measured_objects(tmp_path), tmp_path)
    file, count = names_of(archive)[name]
    labels, found = MAPS[name], rois(archive.read(file))
    drawn = np.zeros_like(labels)
    for entry, roi in found.items():
        assert entry == f"{roi.name}.roi" and roi.group == class_of(int(roi.name.rpartition("-")[2]))
        inside = enclosed(roi.coordinates(multi=True) if roi.composite else [roi.coordinates()], labels.shape)
        assert not drawn[inside].any()
        drawn[inside] = int(roi.name.rpartition("-")[2])
        rows, columns = np.nonzero(inside)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert [roi.left, roi.top, roi.right, roi.bottom] == box
    assert len(found) == count and (drawn == labels).all()


def test_holes_and_pieces_are_composites_and_all_else_is_traced(tmp_path):
    archive = written(measured_objects(tmp_path), tmp_path)
    found = rois(archive.read("Zelle ä.zip"))
    composite = {roi.name for roi in found.values() if roi.composite}
    assert composite == {f"Zelle ä-{number}" for number in (2, 6, 10, 11, 13)}
    assert {roi.roitype for roi in found.values() if not roi.composite} == {ROI_TYPE.TRACED}
    pixel = found["Zelle ä-8.roi"]
    assert pixel.coordinates().tolist() == [[5, 65], [6, 65], [6, 66], [5, 66]]


def test_roifile_opens_the_zip_of_an_image_as_imagej_does(tmp_path):
    archive = written(measured_objects(tmp_path), tmp_path)
    (tmp_path / "one.zip").write_bytes(archive.read("Zelle ä-2.zip"))
    (roi,) = roiread(tmp_path / "one.zip")
    assert roi.name == "Zelle ä-2-1"
    assert list(rois(archive.read("=1+1 🥚.zip"))) == ["=1+1 _-1.roi"]


def test_of_one_class_rois_have_no_group(tmp_path):
    archive = written(measured_objects(tmp_path, classes=("cell",)), tmp_path)
    assert {roi.group for roi in rois(archive.read("Zelle ä.zip")).values()} == {0}


def test_images_without_objects_have_no_zip_as_imagej_refuses_an_empty_one(tmp_path):
    archive = written(measured_objects(tmp_path, EMPTY), tmp_path)
    assert archive.namelist() == ["names.csv"]
    assert names_of(archive) == {"a.png": ("", 0), "b/a.png": ("", 0)}
    archive = written(measured_objects(tmp_path), tmp_path)
    assert names_of(archive)["leer.png"] == ("", 0)


def test_an_outline_of_more_corners_than_a_polygon_may_have_is_a_composite(tmp_path):
    comb = np.ones((2, 34_000), np.int32)
    comb[1, 1::2] = 0
    archive = written(measured_objects(tmp_path, {"comb.png": comb}, ("x",)), tmp_path)
    (roi,) = rois(archive.read("comb.zip")).values()
    assert roi.composite and roi.n_coordinates == 0
    (ring,) = roi.coordinates(multi=True)
    assert len(ring) > 65_536
    x, y = ring.T.astype(float)
    assert abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2 == comb.sum()
