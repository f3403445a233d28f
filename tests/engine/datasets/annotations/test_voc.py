"""Pascal VOC XML: class names, the polygons that some tools add, and boxes, which are no truth."""

from __future__ import annotations

import pytest

from engine.datasets.annotations.base import BOXES_ONLY, format_of
from engine.datasets.annotations.shapes import draw
from engine.datasets.annotations.voc import read
from tests.assets.annotation_files import BOXES, IMAGES, SHAPE, VOC, class_map, document

TOO_MANY = "It holds too many entries for the memory that one annotation file may take; split it."


def test_polygons_are_drawn():
    found = read([document("xml/a.xml", VOC)], IMAGES)
    assert found.classes == ("egg", "pan") and found.entries[0].taken
    assert (draw(found.shapes[IMAGES[0]], SHAPE) == class_map()).all()


def test_boxes_give_class_names_only():
    found = read([document("a.xml", BOXES), document("b.xml", BOXES.replace("egg", "pan"))], IMAGES)
    assert found.classes == ("egg", "pan") and found.shapes == {}
    assert [(entry.taken, entry.reason) for entry in found.entries] == [(False, BOXES_ONLY)] * 2


def test_the_classes_of_pascal_voc_have_their_own_numbers():
    cat = BOXES.replace("egg", "cat").replace("<filename>", "<folder>VOC2012</folder><filename>")
    found = read([document("a.xml", cat)], IMAGES)
    assert len(found.classes) == 20 and found.classes.index("cat") == 7


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("<annotation>", "It is damaged: line 1 is not valid XML."),
        ("<a/>", "Its XML does not have the structure of Pascal VOC."),
        ("<annotation/>", "It describes no image."),
        (f'<!DOCTYPE x [<!ENTITY a "ha">]>{VOC}', "Its XML declares a document type, which is refused."),
        (
            "<annotation>" * 3_000_000,
            TOO_MANY,
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(content, sentence):
    found = read([document("x.xml", content)], IMAGES)
    assert (found.entries[0].taken, found.entries[0].reason) == (False, sentence)


def test_a_wrong_polygon_leaves_the_others():
    found = read([document("a.xml", VOC.replace("<x1>2</x1>", "<x1>two</x1>"))], IMAGES)
    assert "coordinates are no numbers" in found.entries[0].reason
    assert (draw(found.shapes[IMAGES[0]], SHAPE) == class_map(0, 2)).all()


def test_deleted_objects_are_left_out():
    found = read([document("a.xml", VOC.replace("<name>egg</name>", "<name>egg</name><deleted>1</deleted>"))], IMAGES)
    assert (draw(found.shapes[IMAGES[0]], SHAPE) == class_map(0, 1)).all()


def test_files_are_recognised_by_their_root():
    assert format_of("a.xml", b'<?xml version="1.0"?>\n<annotation verified="yes">').name == "voc"
    assert format_of("a.xml", b"<annotations>").name == "cvat"
    assert format_of("a.xml", b"<OME xmlns='x'>") is None
