"""Grey values to classes, as a table that a person edits."""

from __future__ import annotations

import pytest

from dashboard.views.datasets.truth_facts import BadMapping, ClassStart, mapping_from, starts_of

EGGS_AND_PANS = (ClassStart("background", 0), ClassStart("egg", 64), ClassStart("pan", 192))


def counts(**peaks: int) -> list[int]:
    values = [0] * 256
    for value, pixels in peaks.items():
        values[int(value.removeprefix("v"))] = pixels
    return values


def test_a_table_is_converted_to_a_mapping_and_back():
    mapping = mapping_from(EGGS_AND_PANS, counts(v0=900, v127=40, v130=3, v255=60))
    assert mapping.classes == [
        {"index": 0, "name": "background", "value": 0},
        {"index": 1, "name": "egg", "value": 127},
        {"index": 2, "name": "pan", "value": 255},
    ]
    assert [mapping.lookup[value] for value in (0, 63, 64, 191, 192, 255)] == [0, 0, 1, 1, 2, 2]
    assert starts_of([entry["name"] for entry in mapping.classes], mapping.lookup) == EGGS_AND_PANS


def test_a_white_background_is_the_first_row_wherever_it_starts():
    rows = (ClassStart("paper", 128), ClassStart("ink", 0))
    mapping = mapping_from(rows, [0] * 256)
    assert (mapping.lookup[0], mapping.lookup[127], mapping.lookup[128], mapping.lookup[255]) == (1, 1, 0, 0)
    assert starts_of(["paper", "ink"], mapping.lookup) == rows


def test_rows_of_one_name_are_one_class():
    rows = (ClassStart("table", 100), ClassStart("thing", 0), ClassStart(" thing ", 200))
    mapping = mapping_from(rows, [0] * 256)
    assert [entry["name"] for entry in mapping.classes] == ["table", "thing"]
    assert (mapping.lookup[150], mapping.lookup[0], mapping.lookup[255]) == (0, 1, 1)
    assert starts_of(["table", "thing"], mapping.lookup) == (
        ClassStart("table", 100),
        ClassStart("thing", 0),
        ClassStart("thing", 200),
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((), "One class must start at 0. Got no class."),
        ((ClassStart("a", 3), ClassStart("b", 102)), "One class must start at 0. Got 3, 102."),
        ((ClassStart("a", 0), ClassStart("b", 0)), "Both 'a' and 'b' start at 0."),
        ((ClassStart("a", 0), ClassStart("a", 9)), "at least two classes"),
        ((ClassStart("a", 0), ClassStart(" ", 101)), "Row 2 has no class name"),
        ((ClassStart("a", 0), ClassStart("b", 256)), "Row 2 must start at a value from 0 to 255. Got 256."),
        ((ClassStart("a", -1),), "Got -1."),
        ((ClassStart("a" * 61, 0),), "61 characters"),
    ],
)
def test_an_invalid_table_is_rejected_with_the_reason(rows, sentence):
    with pytest.raises(BadMapping) as caught:
        mapping_from(rows, [0] * 256)
    assert sentence in str(caught.value)


def test_255_classes_are_rejected_and_254_are_not():
    rows = [ClassStart("background", 0), *(ClassStart(f"class {value}", value) for value in range(1, 256))]
    with pytest.raises(BadMapping, match=r"at most 254 classes beside background.* Got 255\."):
        mapping_from(rows, counts())
    assert len(mapping_from(rows[:-1], counts()).classes) == 255


def test_a_class_has_one_colour_and_the_background_none():
    rows = (ClassStart("table", 0, "#ffffff"), ClassStart("thing", 100, "#e69f00"), ClassStart("thing", 200))
    mapping = mapping_from((*rows, ClassStart("ignore", 250, "#000000")), [0] * 256)
    assert [entry.get("colour") for entry in mapping.classes] == [None, "#E69F00"]
    assert starts_of(["table", "thing"], [0] * 100 + [1] * 156, ["", "#E69F00"])[1].colour == "#E69F00"
    for colour, sentence in (
        ("red", "The colour of 'thing' is written as #RRGGBB, such as #E69F00. Got 'red'."),
        ("#56b4e9", "The rows of 'thing' have the colours #E69F00 and #56B4E9."),
    ):
        with pytest.raises(BadMapping, match=sentence):
            mapping_from((*rows[:2], ClassStart("thing", 200, colour)), [0] * 256)


def test_no_lookup_no_rows():
    assert starts_of((), ()) == ()
