"""Documents of several formats in one source, and formats of other packages."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from engine.datasets.annotations.base import annotation_formats, format_of
from engine.datasets.annotations.documents import Document
from engine.datasets.annotations.reading import read_annotations
from engine.datasets.annotations.shapes import draw
from engine.datasets.source import Entry, UnreadableSource
from tests.assets.annotation_files import IMAGES, SHAPE, class_map, coco, document, files, labelme

A, B = IMAGES
MODULE = """
from engine.datasets.annotations.base import Annotations, AnnotationSet
from engine.datasets.source import Entry


def read(documents, images):
    return AnnotationSet(("x",), {}, tuple(Entry(each.name, True) for each in documents), {})


ANNOTATIONS = Annotations("other", "Other", lambda name, head: head.startswith(b"OTHER"), read)
"""


@pytest.mark.parametrize("name", files())
def test_every_format_is_recognised_and_draws_the_same(name):
    documents = files()[name]
    assert {format_of(each.name, each.data).name for each in documents} == {name}
    found = read_annotations(documents, IMAGES)
    assert found.classes == ("egg", "pan") and (draw(found.shapes[A], SHAPE) == class_map()).all()
    assert [entry.name for entry in found.entries] == [each.name for each in documents]


def test_classes_of_several_formats_are_joined_by_name():
    other = labelme(imagePath="b.png")
    other["shapes"][0]["label"], other["shapes"][1]["label"] = "pan", "cup"
    found = read_annotations([document("x.json", coco(images=coco()["images"][:1])), document("b.json", other)], IMAGES)
    assert found.classes == ("egg", "pan", "cup")
    assert (draw(found.shapes[A], SHAPE) == class_map(1, 2)).all()
    assert (draw(found.shapes[B], SHAPE) == class_map(2, 3)).all()


def test_an_image_that_two_formats_describe_has_the_objects_of_one():
    documents = [document("x.json", coco()), document("labelme/a.json", labelme(shapes=[]))]
    found = read_annotations([*documents, files()["yolo"][1]], IMAGES)
    assert (draw(found.shapes[A], SHAPE) == class_map()).all()
    assert found.entries[-1].name == "YOLO text"
    assert found.entries[-1].reason == "Images that COCO JSON describe too have only their objects (1)."


def test_documents_may_be_read_when_they_are_needed():
    def fail():
        raise UnreadableSource("It cannot be read: no such file.")

    data = files()["coco"][0].data
    found = read_annotations([Document("x.json", lambda: data), Document("y.json", fail)], IMAGES)
    assert (draw(found.shapes[A], SHAPE) == class_map()).all()
    assert found.entries[1] == Entry("y.json", False, "It cannot be read: no such file.")


def test_a_file_of_no_format_is_reported():
    found = read_annotations([document("notes.json", "{}")], IMAGES)
    assert found.shapes == {} and found.classes == ()
    assert found.entries[0].reason.startswith("It is not an annotation file of a format that is read: COCO JSON, ")


@pytest.mark.slow
def test_a_hundred_thousand_polygons_are_read_once_and_drawn_by_image():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 500, (100_000, 1, 2)) + np.array([[0, 0], [6, 0], [6, 6], [0, 6]])
    annotations = [
        {"id": at, "image_id": at % 50, "category_id": 1, "segmentation": [ring]}
        for at, ring in enumerate(corners.reshape(-1, 8).round(1).tolist())
    ]
    images = [{"id": at, "file_name": f"{at}.png"} for at in range(50)]
    content = coco(images=images, annotations=annotations)
    found = read_annotations([document("x.json", content)], [f"{at}.png" for at in range(50)])
    assert found.entries[0].reason == "Images described: 50; objects: 100,000."
    assert sum(map(len, found.shapes.values())) == 100_000
    assert draw(found.shapes["0.png"], (500, 500)).mean() == pytest.approx(0.25, abs=0.03)


def test_a_format_of_another_package_is_read(tmp_path, monkeypatch):
    folder = tmp_path / "other_annotations-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other-annotations\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[maskloom.annotations]\nother = other_annotations:ANNOTATIONS\n")
    (tmp_path / "other_annotations.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    annotation_formats.cache_clear()
    try:
        assert {"coco", "other", "yolo"} <= set(annotation_formats())
        assert read_annotations([document("a.json", "OTHER")], IMAGES).classes == ("x",)
    finally:
        annotation_formats.cache_clear()
