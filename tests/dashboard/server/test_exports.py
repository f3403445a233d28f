"""Tables that people take home: no cell of any of them starts a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.server import exports
from dashboard.views.runs import table_facts as run_table
from db import datasets
from db.columns import utc_now
from tests.assets.bad_names import NAMES
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run

STARTS = "=+-@\t\r\n＝＋－＠"
EVIL = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", '  "=1', "'=1", " \u00a0-1", *NAMES.values()]


def cells(text: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]


def starts_formula(cell: str) -> bool:
    """Return whether a spreadsheet could take a cell for a formula, one that looks past blanks and quotes too."""
    if cell.startswith("'"):  # what a spreadsheet shows as text, whatever follows
        return False
    bare = cell.lstrip(" \u00a0\"'")
    return bare[:1] in tuple(STARTS) and not _is_number(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", EVIL)
def test_text_that_starts_a_formula_becomes_text(text):
    found = cells(exports.as_csv(["a"], [[text, 1.5, -2]]))
    assert not any(starts_formula(cell) for cell in found)
    assert found[1].lstrip("'") == text.replace("\r", "\n").lstrip("'")
    assert found[2:] == ["1.5", "-2"]  # numbers stay numbers


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_text(texts):
    found = cells(exports.as_csv(["a"], [["first", *texts]]))
    assert not any(starts_formula(cell) for cell in found)
    assert len(found) == len(texts) + 2  # nothing makes a row or a column of its own


def test_every_table_that_is_exported(installation):
    dataset = add_discs(installation, 3, "=HYPERLINK(1)")
    with installation.database.writing() as session:
        for image, name in zip(datasets.images(session, dataset.id), ("=1+1.png", "@x.png", "  -1.png"), strict=True):
            session.merge(image).name = name
        entries = [{"name": "+1.png", "taken": False, "reason": "=It starts like a formula."}]
        datasets.add_images(session, dataset.id, "0" * 32, [], entries)
    labels = add_label_set(installation, dataset, "@labels")
    run = add_run(installation, dataset, "-run", label_set_id=labels)
    with installation.database.reading() as session:
        set_id = session.execute(exports.select(exports.PredictionSet.id)).scalar_one()
        rows = run_table.run_rows(session, utc_now(), 60.0)
        tables = [
            exports.report_csv(session, dataset.id),
            exports.label_csv(session, labels),
            exports.prediction_csv(session, installation.files, set_id, 0.5),
            exports.metrics_csv(session, run.id),
            run_table.as_csv(rows),
        ]
    found = [cell for table in tables for cell in cells(table)]
    assert not [cell for cell in found if starts_formula(cell)]
    for name in ("'=1+1.png", "'@x.png", "'  -1.png", "'+1.png", "'-run", "'=It starts like a formula."):
        assert name in found
