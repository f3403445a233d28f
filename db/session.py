"""Opening the database: SQLite in WAL mode with a busy timeout, or PostgreSQL."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, CursorResult, Engine, UpdateBase, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from db.actors import MACHINE, Actor, Role
from db.postgresql import is_postgresql, open_postgresql
from db.schema import MIGRATIONS, known_revisions, revision_of

BUSY_TIMEOUT_MS = 30_000
IDS_AT_ONCE = 500
"""Ids in one statement: databases limit how many values it may have."""


LONGEST_QUOTE = 1000
"""Characters of a path or URL in a message."""
URLS = "It begins with sqlite:/// or postgresql://, such as postgresql://user:password@host/name."


class DatabaseRefused(Exception):
    """The database cannot be used as it is. The message is a sentence with the way back."""


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise DatabaseRefused(f"DATABASE_URL is none: {url.rpartition('@')[2][:LONGEST_QUOTE]!r}. {URLS}") from None


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for one in memory and for other databases.

    Raises:
        DatabaseRefused: the URL is none.
    """
    parsed = _parsed(url)
    named = parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:"
    return Path(parsed.database or "") if named else None


def open_database(url: str) -> Engine:
    """Return an engine for `url`; a SQLite file's folder is created if missing.

    Raises:
        DatabaseRefused: the URL names no database that can be used, or the folder cannot be created.
    """
    parsed = _parsed(url)
    if is_postgresql(parsed):
        if importlib.util.find_spec("psycopg") is None:
            raise DatabaseRefused("PostgreSQL needs psycopg: pip install 'psycopg[binary]==3.3.9'.")
        return open_postgresql(parsed, BUSY_TIMEOUT_MS)
    if parsed.get_backend_name() != "sqlite":
        raise DatabaseRefused(f"Maskloom cannot use {parsed.get_backend_name()!r} as its database. {URLS}")
    file = sqlite_file(url)
    if file:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseRefused(
                f"{str(file.parent)[:LONGEST_QUOTE]!r} cannot be used as a folder for the database: "
                f"{error.strerror or error}. Set DATA_ROOT to a folder that you can write to."
            ) from None
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
        self._file = sqlite_file(url)
        self._opened: tuple[int, int] | None = None
        if self._file:
            event.listen(self.bind, "do_connect", lambda *_: self.refuse_if_moved())
            event.listen(self.bind, "connect", lambda *_: self._remember_file())
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
            DatabaseRefused: the file was moved away or replaced: what is written now would be lost.
        """
        self.refuse_if_moved()
        actor = self._actor()
        actor.require(needed)
        with self._write.begin() as session:
            session.info["actor"] = actor
            yield session

    def migrate(self, revision: str = "head") -> None:
        """Migrate the schema to this code's version; the first migration creates it. Safe to call at every start.

        Raises:
            DatabaseRefused: the file is no database, or a newer Maskloom made it.
        """
        if revision == "head":
            now, newest = self.revision(), known_revisions()[-1]
            if now == newest:
                return
            if now is not None and now not in known_revisions():
                raise DatabaseRefused(newer(now))
        from alembic import command  # late: see db.schema
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.bind.execution_options(write=True).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def refuse_if_moved(self) -> None:
        """
        Raises:
            DatabaseRefused: the SQLite file that was opened is not at its place any more.
        """
        if self._opened and self._file and _identity(self._file) != self._opened:
            raise DatabaseRefused(
                f"The database {self._file.name} was moved away or replaced while Maskloom runs. Stop Maskloom, "
                "put the file back, and start it again. Until then nothing is saved."
            )

    def _remember_file(self) -> None:
        if self._file and not self._opened:
            self._opened = _identity(self._file)

    def revision(self) -> str | None:
        """Return the version of the tables; None if there are none yet.

        Raises:
            DatabaseRefused: the file is no database.
        """
        try:
            with self.bind.connect() as connection:
                return revision_of(connection)
        except OperationalError:
            raise
        except DatabaseError as error:
            raise DatabaseRefused(damaged(error)) from None

    def close(self) -> None:
        self.bind.dispose()


def newer(revision: str) -> str:
    """Return the sentence for a database that a newer Maskloom made."""
    return (
        f"The database was made by a newer Maskloom (tables {revision}, this one knows {known_revisions()[-1]}). "
        "Update Maskloom."
    )


def damaged(error: DatabaseError) -> str:
    """Return the sentence for a database that cannot be read."""
    return f"The database is damaged: {error.orig}. Stop Maskloom, keep a copy of the file, and restore a backup."


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what stays the same for a file as long as nobody replaces it; None if there is none."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
