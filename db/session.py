"""Opening the database: SQLite in WAL mode with a busy timeout, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import CursorResult, Engine, UpdateBase, create_engine, event, make_url
from sqlalchemy.orm import Session, sessionmaker

from db.actors import MACHINE, Actor, Role
from db.postgresql import is_postgresql, open_postgresql
from db.schema import MIGRATIONS, known_revisions, revision_of

BUSY_TIMEOUT_MS = 30_000
IDS_AT_ONCE = 500
"""Ids in one statement: databases limit how many values it may have."""


def open_database(url: str) -> Engine:
    """Return an engine for `url`; a SQLite file's folder is created if missing."""
    parsed = make_url(url)
    if is_postgresql(parsed):
        return open_postgresql(parsed, BUSY_TIMEOUT_MS)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    bind = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(bind, "connect", _prepare_sqlite)
    event.listen(bind, "begin", _begin_sqlite)
    return bind


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    # sqlite3's own transaction start is late and implicit; _begin_sqlite starts them instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that will write takes the lock at once: a reader that turns writer later cannot wait, it fails.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def changed_rows(session: Session, change: UpdateBase) -> int:
    """Execute an UPDATE or DELETE and return how many rows it matched."""
    result = session.execute(change)
    assert isinstance(result, CursorResult)  # the type of every statement that returns no rows
    return result.rowcount


def chunked(ids: Collection[str]) -> Iterator[list[str]]:
    """Yield sorted ids in lists of at most `IDS_AT_ONCE`."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), IDS_AT_ONCE):
        yield ordered[start : start + IDS_AT_ONCE]


class Database:
    """Short transactions on one database: `reading()` and `writing()` are context managers that yield a Session.

    `actor` returns in whose name this process writes now.
    """

    def __init__(self, url: str, actor: Callable[[], Actor] = lambda: MACHINE) -> None:
        self.url = url
        self._actor = actor
        self.bind = open_database(url)
        # As in SQLite, all queries of a session see the same moment; one that writes sees what others have written.
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._read = sessionmaker(self.bind.execution_options(**snapshot), expire_on_commit=False)
        self._write = sessionmaker(self.bind.execution_options(write=True), expire_on_commit=False)

    @property
    def is_sqlite(self) -> bool:
        return self.bind.dialect.name == "sqlite"

    def reading(self) -> Session:
        """Return a session for queries; use as a context manager."""
        return self._read()

    @contextmanager
    def writing(self, needed: Role = Role.EDITOR) -> Iterator[Session]:
        """Yield a session that knows the actor (`db.audit.actor_of`); commit at its end, roll back on an exception.

        Every write goes through here, so missing rights are refused here, whatever page or route it came from.

        Raises:
            NotAllowed: the actor lacks the role `needed`.
        """
        actor = self._actor()
        actor.require(needed)
        with self._write.begin() as session:
            session.info["actor"] = actor
            yield session

    def migrate(self, revision: str = "head") -> None:
        """Migrate the schema to this code's version; the first migration creates it. Safe to call at every start."""
        if revision == "head":
            with self.bind.connect() as connection:
                if revision_of(connection) == known_revisions()[-1]:
                    return
        from alembic import command  # late: see db.schema
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.bind.execution_options(write=True).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def close(self) -> None:
        self.bind.dispose()
