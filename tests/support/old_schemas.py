"""Databases of earlier schemas that hold the rows of a database of today, or of one that was stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from db.schema import known_revisions
from db.session import Database
from engine.core.settings import sqlite_url

REVISIONS = ["0001", "0002", "0003", "0004", "0005"]
"""Up to that of version 0.1.0, whose stored database has the rows."""
LATER = known_revisions()[len(REVISIONS) : -1]
"""Of these, rows are taken out of a database of today."""

Tables = dict[str, list[str]]


def tables(connection: sqlite3.Connection, schema: str = "main") -> Tables:
    """Return {table: its columns}, without Alembic's own."""
    names = connection.execute(f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table'").fetchall()
    return {
        name: [row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({name})")]
        for (name,) in names
        if name != "alembic_version" and not name.startswith("sqlite_")
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


def make_database(path: Path, revision: str, source: Path) -> None:
    """Create a database of an earlier schema with what it can hold of `source`."""
    database = Database(sqlite_url(path))
    database.migrate(revision)
    database.close()
    with closing(sqlite3.connect(path)) as raw:
        copy_rows(raw, source)
