"""CVAT for images: polygons, ellipses and masks row by row, in the order of their layers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.datasets.annotations.cvat import read
from engine.datasets.annotations.shapes import draw
from tests.assets.annotation_files import CVAT, IMAGES, SHAPE, class_map, document

A, B = IMAGES


def read_image(*shapes):
    found = read(
        [document("x.xml", f'<annotations><image name="a.png">{"".join(shapes)}</image></annotations>')], IMAGES
    )
    return found, found.entries[0]


def test_polygons_and_masks():
    found = read([document("annotations.xml", CVAT)], IMAGES)
    assert found.classes == ("egg", "pan") and found.entries[0].taken and found.size_note(A, SHAPE) == ""
    assert (draw(found.shapes[A], SHAPE) == class_map()).all() and found.shapes[B] == ()


def test_a_mask_is_read_row_by_row():
    found, _ = read_image('<mask label="egg" rle="1, 2, 3, 1, 2" left="4" top="5" width="3" height="3"/>')
    expected = np.zeros(SHAPE, np.uint8)
    expected[5:8, 4:7] = [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert (draw(found.shapes[A], SHAPE) == expected).all()


def test_higher_layers_are_drawn_over_lower_ones():
    square = 'label="{}" points="0.0,0.0;4.0,0.0;4.0,4.0;0.0,4.0" z_order="{}"'
    found, _ = read_image(f"<polygon {square.format('top', 2)}/><polygon {square.format('low', -1)}/>")
    assert set(np.unique(draw(found.shapes[A], SHAPE))) == {0, found.classes.index("top") + 1}


def test_an_ellipse_is_turned():
    found, _ = read_image('<ellipse label="egg" cx="10" cy="6" rx="5" ry="2" rotation="90.00"/>')
    drawn = draw(found.shapes[A], SHAPE)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (10, 4)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            '<box label="egg" xtl="1" ytl="1" xbr="2" ybr="2"/>',
            "Boxes were left out (1); Maskloom needs outlines",
        ),
        ('<polyline label="egg" points="1,1;2,2"/>', "Points and lines, which enclose no area, were left out (1)."),
        ('<polygon label="egg" points="1,1;2,x;3,3"/>', "Shapes whose coordinates are no numbers"),
        ('<polygon label="egg" points="1,1;2,2"/>', "Polygons without three points were left out"),
        ('<mask label="egg" rle="1, 99" left="0" top="0" width="3" height="3"/>', "Masks with invalid run lengths"),
        ('<mask label="egg" rle="1, 2" left="0" top="0"/>', "Masks of a senseless size or place were left out"),
        (
            '<ellipse label="egg" cx="1" cy="nan" rx="2" ry="2"/>',
            "Shapes whose coordinates are no numbers",
        ),
    ],
)
def test_what_is_wrong_with_one_shape_leaves_the_others(wrong, sentence):
    found, entry = read_image('<polygon label="egg" points="2,3;6,3;6,7;2,7"/>', wrong)
    assert entry.taken and sentence in entry.reason and (draw(found.shapes[A], SHAPE) == class_map(1, 0)).all()


def test_tracks_of_videos_are_refused():
    found = read([document("x.xml", '<annotations><track label="egg"/></annotations>')], IMAGES)
    assert found.entries[0].reason == "It is in the format “CVAT for video”; export it as “CVAT for images”."
