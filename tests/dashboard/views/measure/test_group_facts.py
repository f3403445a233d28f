"""Groups of images: by parts of names, regular expressions and uploaded tables, however odd."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.views.measure import group_facts
from dashboard.views.measure.group_facts import NO_GROUP, BadGroups, GroupRule, group_names, groups, read_groups


def test_groups_are_parts_of_names_matches_or_cells_of_a_table():
    names = ["plates/a_1.png", "plates/b_12.tif", "c"]
    assert list(groups(names, GroupRule("part", "_", 2)).values()) == ["1", "12", NO_GROUP]
    assert list(groups(names, GroupRule("part", "/", 1)).values()) == ["plates", "plates", "c"]
    assert list(groups(names, GroupRule("part", "_", -1)).values()) == ["1", "12", "c"]
    assert list(groups(names, GroupRule("pattern", pattern=r"_(\d+)")).values()) == ["1", "12", NO_GROUP]
    assert list(groups(names, GroupRule("pattern", pattern="[ab]_")).values()) == ["a_", "b_", NO_GROUP]
    table = read_groups("﻿Image;dose;day\na_1.png;high;1\nb_12;low;2\n".encode())
    assert list(table) == ["dose", "day"]
    assert list(groups(names, GroupRule("table", values=table["dose"])).values()) == ["high", "low", NO_GROUP]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (GroupRule("part", ""), "Give a separator"),
        (GroupRule("part", "_", 0), "counted from 1"),
        (GroupRule("pattern", pattern="("), "cannot be read"),
        (GroupRule("pattern", pattern="a{99999999999999}"), "repetition number is too large"),
        (GroupRule("table", values={"a": "x" * 300}), "at most 200 characters. Got 300"),
    ],
)
def test_a_rule_that_cannot_group_is_refused_with_a_sentence(rule, words):
    with pytest.raises(BadGroups, match=words):
        groups(["a"], rule)


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "Got nothing"), (b"file,dose\na,1", "Got file, dose"), (b"\xff", "UTF-8")]
)
def test_a_table_without_images_is_refused_with_a_sentence(data, words):
    with pytest.raises(BadGroups, match=words):
        read_groups(data)


def test_an_expression_whose_group_has_no_part_in_the_match_gives_no_group():
    assert list(groups(["a", "b"], GroupRule("pattern", pattern="(a)|b")).values()) == ["a", NO_GROUP]


def test_an_expression_with_a_warning_groups(recwarn):
    assert list(groups(["a]"], GroupRule("pattern", pattern="[[a]]")).values()) == ["a]"]
    assert not recwarn.list


def test_an_expression_that_takes_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr(group_facts, "PATTERN_S", 0.2)
    with pytest.raises(BadGroups, match="takes too long"):
        groups(["a" * 60 + ".png"], GroupRule("pattern", pattern="(a+)+b"))


@pytest.mark.parametrize(
    "data",
    [
        b"image,dose\ra,1\r",  # lines end as on old Macs
        b"sep=;\nimage;dose\na;1\n",  # as Excel marks its separator
        b"\n\nimage\tdose\na\t1\n",
        b"\xef\xbb\xbfIMAGE,dose,image\na,1,b\na,1,c\n",
        b"image,dose\na,\na,1\nb\n",
    ],
)
def test_tables_are_read_as_programs_write_them(data):
    assert read_groups(data) == {"dose": {"a": "1"}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"image,dose\na,1\na,2\n", "two rows for 'a', with '1' and '2' as 'dose'"),
        (b'image,dose\na,"' + b"x" * 200_000 + b'"\n', "cannot be read as CSV: field larger"),
        (b"image,image\na,b\n", "and another"),
        (b"image,\na,b\n", "and another"),
    ],
)
def test_a_table_that_leaves_groups_open_is_refused_with_a_sentence(data, words):
    with pytest.raises(BadGroups, match=words):
        read_groups(data)


def test_groups_are_sorted_as_people_count_whatever_their_digits():
    names = ["b10", "b2", "2" * 5000, "a", "b02", "٣", ""]
    assert group_names(np.array(names)) == ["", "2" * 5000, "a", "b02", "b2", "b10", "٣"]
