"""Titles of columns, and how many digits of their numbers are shown."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.views.measure.facts import column_title, decimals


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("area_um2", "Area (µm²)"),
        ("feret_max_px", "Feret max (px)"),
        ("density_per_mm2", "Density (per mm²)"),
        ("count_at_least", "Count at least"),
        ("covered_share_at_most", "Covered share at most"),
        ("count_pa_n*_px", "Count: pa_n*_px"),  # the name of a class as it is
        ("covered_share_egg|<b>", "Covered share: egg|<b>"),
        ("known_count", "Known count"),
    ],
)
def test_titles_have_units_and_classes_their_names(name, title):
    assert column_title(name) == title


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([1427.15, 3.0], 2), ([0.98, np.nan], 4), ([1.0], 3), ([0.0384], 5), ([1.3e-7], 10), ([], 2), ([np.nan, 0.0], 2)],
)
def test_small_numbers_are_shown_with_four_digits(values, wanted):
    assert decimals(np.array(values, float)) == wanted
