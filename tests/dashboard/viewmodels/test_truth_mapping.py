"""Grey values to classes, as a table that a person edits."""

from __future__ import annotations

import pytest

from dashboard.viewmodels.truth_mapping import BadMapping, ValueRange, mapping_from, ranges_of

EGGS_AND_PANS = (ValueRange("background", 0, 63), ValueRange("egg", 64, 191), ValueRange("pan", 192, 255))


def counts(**peaks: int) -> list[int]:
    values = [0] * 256
    for value, pixels in peaks.items():
        values[int(value.removeprefix("v"))] = pixels
    return values


def test_a_table_gives_classes_and_a_lookup_and_comes_back():
    mapping = mapping_from(EGGS_AND_PANS, counts(v0=900, v127=40, v130=3, v255=60))
    assert mapping.classes == [
        {"index": 0, "name": "background", "value": 0},
        {"index": 1, "name": "egg", "value": 127},
        {"index": 2, "name": "pan", "value": 255},
    ]
    assert [mapping.lookup[value] for value in (0, 63, 64, 191, 192, 255)] == [0, 0, 1, 1, 2, 2]
    assert ranges_of([entry["name"] for entry in mapping.classes], mapping.lookup) == EGGS_AND_PANS


def test_rows_of_one_name_are_one_class_and_the_first_row_is_background():
    rows = (ValueRange("table", 100, 199), ValueRange("thing", 0, 99), ValueRange(" thing ", 200, 255))
    mapping = mapping_from(rows, [0] * 256)
    assert [entry["name"] for entry in mapping.classes] == ["table", "thing"]
    assert (mapping.lookup[150], mapping.lookup[0], mapping.lookup[255]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((), "0–255 belong to no class"),
        ((ValueRange("a", 0, 100), ValueRange("b", 102, 255)), "The values 101 belong to no class"),
        ((ValueRange("a", 0, 100), ValueRange("b", 100, 255)), "The value 100 is claimed by 'a' and by 'b'"),
        ((ValueRange("a", 0, 255),), "at least two classes"),
        ((ValueRange("a", 0, 100), ValueRange(" ", 101, 255)), "Row 2 has no class name"),
        ((ValueRange("a", 100, 0), ValueRange("b", 101, 255)), "Row 1 must go upwards within 0 to 255. Got 100 to 0"),
        ((ValueRange("a", 0, 100), ValueRange("b", 101, 256)), "Got 101 to 256"),
        ((ValueRange("a" * 61, 0, 255),), "61 characters"),
    ],
)
def test_a_table_that_gives_no_mapping_says_why(rows, sentence):
    with pytest.raises(BadMapping, match=sentence.replace(".", r"\.")):
        mapping_from(rows, [0] * 256)


def test_no_lookup_no_rows():
    assert ranges_of((), ()) == ()
