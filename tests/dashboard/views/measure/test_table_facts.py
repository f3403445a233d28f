"""Filters, orders, groups and summaries of a table of objects."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from dashboard.views.measure.group_facts import group_table
from dashboard.views.measure.plots_tab import MOST_CORNERS, region_of
from dashboard.views.measure.table_facts import (
    MOST_POINTS,
    BadFilter,
    Measured,
    ObjectFilter,
    Region,
    bins,
    boxes,
    filter_from,
    headline,
    inside,
    kept,
    order,
    sampled,
)


@pytest.fixture
def measured():
    objects = pd.DataFrame(
        {
            "image": ["a_1.png", "a_1.png", "b_2.png", "b_2.png"],
            "image_id": ["x", "x", "y", "y"],
            "object": [1, 2, 1, 2],
            "class": [1, 2, 1, 1],
            "class_name": ["cell", "dirt", "cell", "cell"],
            "area_px": [10, 40, 30, 20],
            "circularity": [0.9, 0.2, math.nan, 0.7],
            "counts_as": [1.0, 1.0, 1.0, 0.5],
        }
    )
    images = pd.DataFrame(
        {
            "image": ["a_1.png", "b_2.png", "b_3.png"],
            "image_id": ["x", "y", "z"],
            "count": [2.0, 1.5, 0.0],
            "covered_share": [0.5, 0.4, 0.0],
        }
    )
    return Measured(objects, images)


def areas(measured, chosen):
    return measured.objects["area_px"][kept(measured.objects, chosen)].tolist()


def test_ranges_classes_and_images_all_have_to_hold(measured):
    assert areas(measured, ObjectFilter()) == [10, 40, 30, 20]
    assert areas(measured, ObjectFilter({"area_px": (20, None)})) == [40, 30, 20]
    assert areas(measured, ObjectFilter({"area_px": (20, 30)})) == [30, 20]
    assert areas(measured, ObjectFilter({"area_px": (20, None), "circularity": (0.5, None)})) == [20]
    assert areas(measured, ObjectFilter(classes=("cell",), images=("b_2.png",))) == [30, 20]
    assert areas(measured, ObjectFilter({"gone_um": (1, 2)})) == [10, 40, 30, 20]


def test_a_region_keeps_the_objects_inside(measured):
    region = Region("area_px", "circularity", ((0, 0.5), (50, 0.5), (50, 1), (0, 1)))
    assert areas(measured, ObjectFilter(region=region)) == [10, 20]
    x, y = np.random.default_rng(0).uniform(-2, 2, (2, 500))
    turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = inside(x, y, np.stack([np.cos(turn), np.sin(turn)], 1))
    clear = abs(np.hypot(x, y) - 1) > 0.01
    assert (ring == (np.hypot(x, y) < 1))[clear].all()


def test_a_filter_comes_back_from_its_values():
    chosen = ObjectFilter({"a": (1.0, None)}, ("c",), ("i",), Region("x", "y", ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0))))
    assert filter_from(chosen.values()) == chosen
    assert chosen.count == 4
    assert ObjectFilter().values() == {}
    for values in ([], 3, {"ranges": {"a": [1]}}, {"ranges": {"a": ["x", 1]}}, {"region": {"x": "a"}}, {"ranges": 1}):
        with pytest.raises(BadFilter):
            filter_from(values)
    with pytest.raises(BadFilter):
        filter_from({"ranges": {"a": [float("nan"), None]}})
    for number in (float("nan"), 10**400):
        with pytest.raises(BadFilter):
            filter_from({"region": {"x": "a", "y": "b", "points": [[number, 1], [1, 2], [2, 1]]}})
        with pytest.raises(BadFilter):
            filter_from({"ranges": {"a": [number, None]}})


def test_of_a_filter_of_other_tables_only_what_these_have_is_left(measured):
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    chosen = ObjectFilter(
        {"area_px": (1.0, None), "image": (1.0, 2.0), "gone": (1.0, 2.0)},
        ("dirt", "gone", "dirt"),
        ("b_2.png", "gone.png"),
        Region("area_px", "circularity", corners),
    )
    assert chosen.within(measured) == ObjectFilter(
        {"area_px": (1.0, None)}, ("dirt",), ("b_2.png",), Region("area_px", "circularity", corners)
    )
    assert ObjectFilter(region=Region("image", "area_px", corners)).within(measured) == ObjectFilter()
    one_class = Measured(measured.objects[measured.objects["class_name"] == "cell"], measured.images)
    assert ObjectFilter(classes=("cell",)).within(one_class) == ObjectFilter()  # the page has no choice of classes


def test_rows_are_ordered_by_any_column_and_missing_values_come_last(measured):
    everything = np.ones(4, bool)
    assert order(measured.objects, everything, "area_px", False).tolist() == [0, 3, 2, 1]
    assert order(measured.objects, everything, "circularity", True).tolist() == [0, 3, 1, 2]
    assert order(measured.objects, everything, "class_name", True).tolist() == [1, 0, 2, 3]
    assert order(measured.objects, np.array([True, False, True, False]), "area_px", True).tolist() == [2, 0]


def test_the_headline_counts_what_objects_count(measured):
    found = headline(measured)
    assert (found.count, found.images, found.least, found.most) == (3.5, 3, 0.0, 2.0)
    assert found.mean == pytest.approx(3.5 / 3)
    assert found.median_area == 25
    nothing = headline(Measured(measured.objects[:0], measured.images[2:]))
    assert nothing.count == 0 and math.isnan(nothing.median_area)


def test_histograms_and_boxes_are_summed_up_by_group(measured):
    values, of = measured.objects["area_px"].to_numpy(float), measured.objects["image"].to_numpy(str)
    found = bins(values, of, most=3)
    assert {name: counts.tolist() for name, counts in found.counts.items()} == {
        "a_1.png": [1, 0, 1],
        "b_2.png": [0, 1, 1],
    }
    assert bins(np.array([5.0, 5.0])).counts[""].sum() == 2
    assert bins(np.array([np.nan])).counts == {}
    large = bins(np.full(3, 1e20))
    assert large.counts[""].sum() == 3 and large.edges[0] < 1e20 < large.edges[-1]
    first, second = boxes(values, of)
    assert (first.low, first.q1, first.median, first.q3, first.high) == (10, 17.5, 25, 32.5, 40)
    assert (second.count, second.mean) == (2, 25)
    outlier = boxes(np.array([1.0, 2, 3, 4, 100]), np.array(["g"] * 5))[0]
    assert (outlier.low, outlier.high) == (1, 4)


def test_groups_of_images_have_their_counts(measured):
    table = group_table(measured.images, {"a_1.png": "a", "b_2.png": "b10", "b_3.png": "b2"})
    assert table["Group"].tolist() == ["a", "b2", "b10"]  # as people count
    table = group_table(measured.images, {"a_1.png": "a", "b_2.png": "b", "b_3.png": "b"})
    assert table["Images"].tolist() == [1, 2]
    assert table["Mean count"].tolist() == [2.0, 0.75]


def test_many_points_are_sampled_and_few_are_not():
    assert sampled(10).tolist() == list(range(10))
    many = sampled(100_000)
    assert len(many) == MOST_POINTS == len(set(many.tolist()))
    assert many.tolist() == sampled(100_000).tolist()


def test_the_usual_columns_are_physical_where_they_exist(measured):
    assert measured.area == "area_px"
    assert measured.usual == ["image", "object", "class_name", "area_px", "circularity"]
    known = Measured(measured.objects.assign(area_um2=1.0), measured.images)
    assert known.area == "area_um2"
    assert known.usual == ["image", "object", "class_name", "area_um2", "circularity"]
    assert known.numeric == ["area_px", "circularity", "counts_as", "area_um2"]


def test_a_lasso_or_a_box_becomes_a_region_of_few_corners():
    assert region_of({"box": [], "lasso": [], "points": []}, "x", "y") is None
    box = region_of({"box": [{"x": [1, 3], "y": [2, 5]}]}, "x", "y")
    assert box == Region("x", "y", ((1, 2), (3, 2), (3, 5), (1, 5)))
    lasso = region_of({"lasso": [{"x": list(range(400)), "y": [0] * 400}]}, "x", "y")
    assert len(lasso.points) == MOST_CORNERS
