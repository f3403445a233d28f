"""labelme files: polygons, rectangles, circles and masks are drawn; what has no area or is damaged is reported."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest

from engine.datasets.annotations.base import format_of
from engine.datasets.annotations.labelme import read
from engine.datasets.annotations.shapes import draw
from tests.assets.annotation_files import IMAGES, SHAPE, class_map, document, encoded, labelme

A, B = IMAGES


def read_shapes(*shapes, **changes):
    found = read([document("labelme/a.json", labelme(shapes=list(shapes), **changes))], IMAGES)
    return found, found.entries[0]


def shape(kind, points, label="egg", **more):
    return {"label": label, "shape_type": kind, "points": points, **more}


SQUARE = shape("rectangle", [[2, 3], [6, 7]])


def test_a_mask_and_a_polygon():
    found = read([document("labelme/a.json", labelme())], IMAGES)
    assert found.classes == ("egg", "pan") and found.entries[0].reason == ""
    assert (draw(found.shapes[A], SHAPE) == class_map()).all() and found.size_note(A, SHAPE) == ""


@pytest.mark.parametrize(
    "points", [[[2, 3], [6, 7]], [[6, 7], [2, 3]], [[2, 7], [6, 3]], [[2, 3], [6, 3], [6, 7], [2, 7]]]
)
def test_rectangles(points):
    found, _ = read_shapes(shape("rectangle", points))
    assert (draw(found.shapes[A], SHAPE) == class_map(1, 0)).all()


def test_a_circle_by_its_centre_and_a_point_on_it():
    found, _ = read_shapes(shape("circle", [[10, 6], [10, 1]]))
    drawn = draw(found.shapes[A], SHAPE)
    assert drawn.sum() == pytest.approx(np.pi * 25, rel=0.05) and drawn[6, 10] and not drawn[1, 5]


def test_a_mask_with_holes_that_reaches_beyond_the_image():
    mask = np.indices((8, 6)).sum(0) % 3 == 0
    found, _ = read_shapes(shape("mask", [[17, 8], [22, 15]], mask=encoded(mask)))
    drawn = draw(found.shapes[A], SHAPE)
    assert (drawn[8:, 17:] == mask[:4, :3]).all() and drawn.sum() == mask[:4, :3].sum()


def test_labels_of_background_and_ignore():
    rest = [shape("rectangle", [[2, 3], [4, 7]], "_background_"), shape("rectangle", [[4, 3], [6, 5]], "__ignore__")]
    found, _ = read_shapes(SQUARE, *rest)
    assert found.classes == ("egg",)
    assert draw(found.shapes[A], SHAPE)[3:7, 2:6].tolist() == [[0, 0, 255, 255]] * 2 + [[0, 0, 1, 1]] * 2


def test_points_and_lines_are_reported_and_alone_they_are_no_truth():
    found, entry = read_shapes(SQUARE, shape("point", [[1, 1]]), shape("linestrip", [[1, 1], [2, 2], [3, 1]]))
    assert entry.reason == "Points and lines, which enclose no area, were left out (2)."
    assert (draw(found.shapes[A], SHAPE) == class_map(1, 0)).all()
    found, _ = read_shapes(shape("point", [[1, 1]]))
    assert found.shapes == {}


def test_a_file_without_shapes_is_background():
    found, entry = read_shapes()
    assert found.shapes == {A: ()} and entry.reason == "It has no object, so its image counts as background."


@pytest.mark.parametrize(
    ("path", "name", "image"),
    [
        ("../images/a.png", "labelme/x.json", A),
        ("..\\images\\a.png", "labelme/x.json", A),
        ("C:\\data\\a.png", "labelme/x.json", A),
        ("a.jpg", "labelme/x.json", A),
        ("old.png", "labelme/b.json", B),
        (None, "labelme/b.json", B),
        ("../../etc/passwd", "labelme/x.json", None),
    ],
)
def test_which_image_is_meant(path, name, image):
    found = read([document(name, labelme(imagePath=path))], IMAGES)
    assert list(found.shapes) == ([image] if image else [])
    if image is None:
        assert found.entries[0].reason == (
            "Image names that match no image of this import were left out (1, the first: “../../etc/passwd”)."
        )


def bomb() -> str:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return base64.b64encode(header + b"\0" * 40).decode()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            shape("mask", [[1, 1], [2, 2]], mask="no base64!"),
            "Masks that are no PNG image were left out (1, the first: 2",
        ),
        (shape("mask", [[1, 1], [2, 2]], mask=encoded(np.ones((4, 4), bool))[:60]), "Masks that are no PNG image"),
        (shape("mask", [[1, 1], [2, 2]]), "Masks that are no PNG image"),
        (shape("mask", [[1, 1], [2, 2]], mask=bomb()), "Masks beyond 100 megapixels in one file were left out"),
        (shape("mask", "x", mask=encoded(np.ones((4, 4), bool))), "Rectangles, circles and masks without two points"),
        (shape("circle", [[1, 1]]), "Rectangles, circles and masks without two points"),
        (shape("polygon", [[1, 1], [2, 2]]), "Polygons without three points were left out"),
        (shape("spiral", [[1, 1], [2, 2]]), "Shapes of an unknown type were left out"),
        ({}, "Polygons without three points were left out"),
    ],
)
def test_what_is_wrong_with_one_shape_leaves_the_others(wrong, sentence):
    found, entry = read_shapes(SQUARE, wrong)
    assert entry.taken and sentence in entry.reason and (draw(found.shapes[A], SHAPE) == class_map(1, 0)).all()


def test_a_shape_without_a_label_is_an_object():
    found, entry = read_shapes(SQUARE | {"label": None})
    assert found.classes == ("object",) and "Objects without a class became the class “object” (1)." in entry.reason


def test_files_are_recognised_with_the_picture_in_front():
    assert format_of("a.json", b'{"imageData": "' + b"A" * 9000).name == "labelme"
    assert format_of("package.json", b'{"version": "1.0", "dependencies": {}}') is None
