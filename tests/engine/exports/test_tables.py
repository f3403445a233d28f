"""CSV that a spreadsheet opens without running anything."""

import csv
import io

import pytest

from engine.exports.tables import as_csv


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_text_that_begins_like_a_formula_is_made_plain(start):
    (_, (cell, number)) = csv.reader(io.StringIO(as_csv(["a", "b"], [[f"{start}1+1", -2.5]]), newline=""))
    assert cell == f"'{start}1+1".replace("\r", "\n") and number == "-2.5"


def test_commas_quotes_and_lines_come_back():
    text = 'a "b", c\nd'
    assert list(csv.reader(io.StringIO(as_csv(["x"], [[text]]), newline=""))) == [["x"], [text]]
