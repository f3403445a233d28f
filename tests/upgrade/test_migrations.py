"""Databases of every earlier schema keep their rows through the upgrade."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from db.columns import Base
from db.session import Database

REVISIONS = ["0001", "0002", "0003", "0004", "0005"]

Tables = dict[str, list[str]]


def tables(connection: sqlite3.Connection, schema: str = "main") -> Tables:
    """Return {table: its columns}, without Alembic's own."""
    names = connection.execute(f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table'").fetchall()
    return {
        name: [row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({name})")]
        for (name,) in names
        if name != "alembic_version" and not name.startswith("sqlite_")
    }


def rows(connection: sqlite3.Connection, columns: Tables) -> dict[str, list[tuple]]:
    """Return the rows of each table, sorted, in the columns given."""
    return {
        table: sorted(connection.execute(f"SELECT {', '.join(named)} FROM {table}").fetchall(), key=repr)
        for table, named in columns.items()
    }


def copy_rows(target: sqlite3.Connection, source: Path) -> None:
    """Copy what the tables of `target` can hold out of the database `source`, which is of a later schema."""
    target.execute("ATTACH ? AS source", (str(source),))
    available = tables(target, "source")
    for table, columns in tables(target).items():
        shared = ", ".join(column for column in columns if column in available[table])
        with target:
            target.execute(f"INSERT INTO {table} ({shared}) SELECT {shared} FROM source.{table}")
    target.execute("DETACH source")


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_an_earlier_schema_keeps_its_rows(tmp_path, stored_database, revision):
    path = tmp_path / "app.db"
    database = Database(f"sqlite:///{path}")
    database.migrate(revision)
    with closing(sqlite3.connect(path)) as raw:
        copy_rows(raw, stored_database)
        before = tables(raw)
        had = rows(raw, before)
    assert all(had.values()), "every table has rows to lose"
    database.migrate()
    with closing(sqlite3.connect(path)) as raw:
        now = tables(raw)
        kept = {table: [column for column in columns if column in now[table]] for table, columns in before.items()}
        assert rows(raw, kept) == {table: _narrowed(had[table], before[table], kept[table]) for table in before}
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    with database.bind.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    with database.reading() as session:
        for mapper in Base.registry.mappers:
            read = session.scalars(select(mapper.class_)).all()
            assert len(read) == len(had.get(mapper.local_table.name, []))
    database.close()


def _narrowed(found: list[tuple], columns: list[str], kept: list[str]) -> list[tuple]:
    places = [columns.index(column) for column in kept]
    return sorted((tuple(row[place] for place in places) for row in found), key=repr)


def test_the_stored_database_is_of_the_last_schema_before_the_upgrade(stored_database):
    with closing(sqlite3.connect(stored_database)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]
        assert all(rows(raw, tables(raw)).values()), "every table has rows"
