"""Which regions are called the object, on drawn regions with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from engine.labelling.cues.foreground import border_lengths, choose

# 0 and 1 are ground that reaches the border; 2 lies inside, 3 touches the border with one corner.
REGIONS = np.zeros((30, 40), np.int32)
REGIONS[:, 23:] = 1
REGIONS[8:22, 12:28] = 2
REGIONS[0:4, 0:3] = 3
LIGHTNESS = np.array([30.0, 40.0, 80.0, 90.0])[REGIONS]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("border_contact", [False, False, True, False]),
        ("minority", [False, True, True, True]),
        ("lighter", [False, False, True, True]),
        ("darker", [True, True, False, False]),
    ],
)
def test_each_rule_takes_the_regions_it_names(rule: str, expected: list[bool]) -> None:
    assert choose(REGIONS, LIGHTNESS, rule).tolist() == expected


@pytest.mark.parametrize("rule", ["border_contact", "minority", "lighter", "darker"])
def test_a_single_region_holds_no_object_and_unused_numbers_are_never_chosen(rule: str) -> None:
    assert choose(np.zeros((5, 5), int), np.zeros((5, 5)), rule).tolist() == [False]
    assert choose(np.full((5, 5), 2), np.zeros((5, 5)), rule).tolist() == [False] * 3


def test_small_objects_that_touch_the_border_in_proportion_are_still_the_object() -> None:
    # As in a microscope field full of nuclei: stripes of 1 in 4 rows cut by both sides.
    regions = np.zeros((40, 40), int)
    regions[1::4] = 1
    assert choose(regions, np.zeros((40, 40)), "border_contact").tolist() == [False, True]


def test_border_length_counts_pixel_sides_so_that_a_corner_counts_twice() -> None:
    assert border_lengths(np.array([[0, 1], [0, 1]])).tolist() == [4, 4]
    assert border_lengths(np.zeros((1, 1), int)).tolist() == [4]
