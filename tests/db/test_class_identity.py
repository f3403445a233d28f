"""Which classes of a run and of a dataset are the same."""

from __future__ import annotations

import pytest

from db import runs
from db.models import Dataset, Run


def classes(*named: tuple[str, int]) -> list[dict[str, object]]:
    return [{"index": index, "name": name, "value": value} for index, (name, value) in enumerate(named)]


@pytest.mark.parametrize(
    ("own", "others", "same"),
    [
        ((("egg", 1), ("pan", 2)), (("egg", 128), ("pan", 255)), True),
        ((("class 1", 1), ("class 2", 2)), (("class 1", 1), ("class 2", 2)), True),
        ((("class 1", 1), ("class 2", 2)), (("class 1", 128), ("class 2", 255)), False),
        ((("egg", 1), ("class 2", 2)), (("egg", 7), ("class 2", 2)), True),
        ((("egg", 1), ("pan", 2)), (("pan", 1), ("egg", 2)), False),
    ],
)
def test_given_names_are_the_same_class_and_default_names_only_with_the_same_value(own, others, same):
    run = Run(classes=classes(("background", 0), *own), label_set_id=None)
    dataset = Dataset(classes=classes(("background", 0), *others))
    assert runs.same_classes(run, dataset) is same
    assert bool(runs.changed_classes(run, dataset)) is not same


def test_classes_that_differ_in_value_alone_are_told_apart_in_words():
    run = Run(classes=classes(("background", 0), ("class 1", 1), ("class 2", 2)), label_set_id=None)
    dataset = Dataset(classes=classes(("background", 0), ("class 1", 128), ("class 2", 255)))
    words = runs.changed_classes(run, dataset)
    assert "class 1 (value 1), class 2 (value 2); its dataset has class 1 (value 128), class 2 (value 255)" in words
