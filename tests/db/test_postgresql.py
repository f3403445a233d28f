"""What only PostgreSQL needs: one writer at a time, its clock, and its addresses."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from db import columns
from db.postgresql import _compare_clocks, open_postgresql
from db.session import Database, DatabaseRefused
from engine.work.failures import explain

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def test_a_writer_waits_for_another_and_then_gives_up_with_a_sentence(database):
    impatient = open_postgresql(make_url(database.url), 50)
    writing = impatient.execution_options(write=True)
    with database.writing() as session:
        session.execute(text("SELECT 1"))
        with impatient.connect() as reader:  # reading waits for nobody
            assert reader.scalar(text("SELECT 1")) == 1
        with pytest.raises(OperationalError) as failure, writing.begin():
            pass
    assert "kept the database locked for too long" in explain(failure.value)
    with writing.begin() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    impatient.dispose()


@pytest.mark.parametrize(("ahead_s", "heeded"), [(-300, True), (300, True), (0.3, False)])
def test_times_go_by_the_clock_of_the_database(database, monkeypatch, ahead_s, heeded):
    monkeypatch.setattr(columns, "_ahead", timedelta(0))

    class Connection:
        def execute(self, statement):
            return self

        def fetchone(self):
            return (datetime.now(UTC) + timedelta(seconds=ahead_s),)

        def rollback(self):
            pass

    _compare_clocks(Connection(), None)
    found = (columns.utc_now() - datetime.now(UTC)).total_seconds()
    assert round(found) == (ahead_s if heeded else 0)


def test_a_missing_driver_is_a_sentence(database, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatabaseRefused, match=r"pip install 'psycopg\[binary\]=="):
        Database("postgres://host/name")


@pytest.mark.parametrize(("url", "reason"), [("mysql://host/name", "cannot use 'mysql'"), ("name", "is none: 'name'")])
def test_other_addresses_are_refused_with_a_sentence(database, url, reason):
    with pytest.raises(DatabaseRefused, match=reason):
        Database(url)


def test_a_server_that_does_not_answer_is_an_error_of_the_database(database):
    gone = Database("postgresql://nobody:wrong@127.0.0.1:9/name")
    with pytest.raises(OperationalError, match=r"127\.0\.0\.1"):
        gone.revision()
