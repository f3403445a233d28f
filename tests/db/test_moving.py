"""Moving an installation from SQLite to PostgreSQL: every row, all or none."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from db import audit, jobs, workers
from db.columns import Base
from db.models import Dataset, JobKind
from db.moving import CannotMove, move_rows
from db.session import Database
from tests.support.installation import add_discs

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def empty(postgresql):
    with postgresql.database() as database:
        yield database


def rows_of(database: Database) -> dict[str, list[tuple]]:
    with database.reading() as session:
        return {
            table.name: sorted(tuple(map(str, row)) for row in session.execute(select(table)))
            for table in Base.metadata.sorted_tables
        }


def test_every_row_is_moved_and_numbers_go_on_after_them(installation, empty):
    add_discs(installation, 3, name="Müller’s discs")
    with installation.database.writing() as session:
        audit.record(session, "renamed", "dataset", "x", "a note")
    assert move_rows(installation.database, empty) == sum(map(len, rows_of(installation.database).values())) > 6
    assert rows_of(empty) == rows_of(installation.database)
    with empty.writing() as session:
        audit.record(session, "renamed", "dataset", "x", "another note")
    with pytest.raises(CannotMove, match="not empty: it has rows in 'audit'"):
        move_rows(installation.database, empty)


def test_workers_stay_with_the_database_that_they_have_open(installation, empty):
    add_discs(installation, 1)
    for database in (installation.database, empty):
        with database.writing() as session:
            workers.register_app(session, database.url[:20], 1, "1")
    move_rows(installation.database, empty)
    with empty.reading() as session:
        assert workers.app_of(session).host == empty.url[:20]


def test_nothing_is_moved_while_a_job_runs(installation, empty):
    add_discs(installation, 1)
    with installation.database.writing() as session:
        jobs.submit(session, JobKind.LABEL, {})
        jobs.claim(session, "w", 1, 60)
    with pytest.raises(CannotMove, match="A job is running"):
        move_rows(installation.database, empty)
    with empty.reading() as session:
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0


def test_a_database_is_not_moved_onto_itself(installation):
    with pytest.raises(CannotMove, match="same database"):
        move_rows(installation.database, installation.database)
