"""Rows that hold what the code never writes are named, whatever it is."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from db import audit
from db.columns import utc_now
from db.inventory import Inventory
from db.row_content import unreadable_rows
from db.submissions import submit_import
from engine.care.checkup import check
from tests.support.calling import call
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run

WRONG = [
    ("jobs", "status", "'wurst'", "status is 'wurst'"),
    ("jobs", "payload", "'no json'", "payload is no JSON"),
    ("jobs", "payload", "'[1]'", "payload has the wrong type"),
    ("jobs", "result", "'null'", "result has the wrong type"),
    ("jobs", "created_at", "'yesterday'", "created_at is no time"),
    ("jobs", "progress_done", "'many'", "progress_done has the wrong type"),
    ("datasets", "classes", "'{}'", "classes has the wrong type"),
    ("images", "height", "'tall'", "height has the wrong type"),
    ("images", "truth_values", "x'00ff'", "truth_values is no JSON"),
    ("runs", "config", "'['", "config is no JSON"),
    ("runs", "train_seconds", "'long'", "train_seconds has the wrong type"),
    ("runs", "name", "x'ff'", "name has the wrong type"),
    ("runs", "name", "CAST(x'fffe' AS TEXT)", "Could not decode to UTF-8"),
    ("label_sets", "id", "'../../etc'", "id is no id"),
]


@pytest.fixture
def filled(installation):
    dataset = add_discs(installation, 2)
    add_run(installation, dataset, "first", label_set_id=add_label_set(installation, dataset))
    with installation.database.writing() as session:
        submit_import(session, "more", {"kind": "folder", "path": "/pictures"})
    return installation


def test_rows_that_the_code_wrote_are_in_order(filled):
    assert list(unreadable_rows(filled.database.bind)) == []


def test_a_database_remembers_its_own_lines_only(filled):
    with filled.database.writing() as session:
        audit.record(session, "imported", "dataset", "0" * 32, "more")
    inventory = Inventory(filled.database)
    line = inventory.last_line(utc_now() + timedelta(minutes=1))
    assert line and inventory.remembers(json.loads(json.dumps(line)))
    assert not inventory.remembers(line | {"at": line["at"] + 1})
    assert not inventory.remembers(line | {"line": line["line"] + 1})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # PostgreSQL refuses most of it itself
@pytest.mark.parametrize(("table", "column", "value", "expected"), WRONG)
def test_the_doctor_names_the_row_or_is_not_disturbed(filled, table, column, value, expected):
    with closing(sqlite3.connect(filled.settings.data_root / "app.db")) as raw, raw:
        raw.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = (SELECT max(rowid) FROM {table})")
    assert any(expected in line and table in line for line in unreadable_rows(filled.database.bind))
    for options in ([], ["--quick"], ["--repair"]):
        ended = call(filled.settings, "doctor", "--json", *options)
        assert ended.returncode in (0, 1)
        kinds = {finding["kind"] for finding in json.loads(ended.stdout)["findings"]}
        assert kinds & {"row", "database"}
        assert "orphan" not in kinds and not (filled.settings.data_root / "lost+found").exists()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("sql = replace(sql, 'masks_truth_dice', 'other')", "row"),
        ("sql = 'CREATE TABLE (', name = CAST(x'ff' AS TEXT)", "database"),
    ],
)
def test_tables_whose_description_is_damaged_are_a_finding(installation, change, kind):
    installation.database.close()
    with closing(sqlite3.connect(installation.files.root / "app.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(f"UPDATE sqlite_master SET {change} WHERE name = 'rounds'")
    report = check(Inventory(installation.database), installation.files, utc_now(), 60.0)
    assert [finding.kind for finding in report.findings] == [kind]
