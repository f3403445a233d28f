"""Moving an installation's rows from one database to another, such as from SQLite to PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from db.columns import Base
from db.models import Job, JobStatus, Launch, Worker
from db.session import Database

ROWS_AT_ONCE = 1000


class CannotMove(ValueError):
    """The rows cannot be moved. The message is a sentence that says why."""


def move_rows(source: Database, target: Database) -> int:
    """Copy every row of `source` into an empty `target`, all or none; return how many there are. The source stays.

    Workers are not moved, nor those that were requested: they have the old database open. Both databases are migrated
    to this code's version first.

    Raises:
        CannotMove: the target has rows, a job of the source is running, or they are the same database.
    """
    if source.url == target.url:
        raise CannotMove("Both addresses name the same database.")
    source.migrate()
    target.migrate()
    stay = {Worker.__tablename__, Launch.__tablename__}
    tables = [table for table in Base.metadata.sorted_tables if table.name not in stay]
    total = 0
    with source.reading() as old, target.writing() as new:
        if old.scalar(select(func.count()).where(Job.status == JobStatus.RUNNING)):
            raise CannotMove("A job is running. Stop it, or wait until it has ended: what it stores would be lost.")
        for table in tables:
            if new.scalar(select(func.count()).select_from(table)):
                raise CannotMove(f"The database to move to is not empty: it has rows in {table.name!r}.")
        for table in tables:
            copied = 0
            rows = old.execute(select(table), execution_options={"yield_per": ROWS_AT_ONCE})
            for part in rows.mappings().partitions(ROWS_AT_ONCE):
                new.execute(table.insert(), [dict(row) for row in part])
                copied += len(part)
            if copied:
                _continue_counting(new, table)
            total += copied
    return total


def _continue_counting(session: Session, table: Table) -> None:
    """Let the next number that PostgreSQL gives to a row follow the copied ones; SQLite counts from them by itself."""
    counted = table.autoincrement_column
    if counted is None or session.get_bind().dialect.name != "postgresql":
        return
    sequence = func.pg_get_serial_sequence(table.name, counted.name)
    session.execute(select(func.setval(sequence, select(func.max(counted)).scalar_subquery())))
