"""PostgreSQL as the database: the same promises as SQLite's, so that there is one code path (docs/adr/0014).

One transaction writes at a time, readers see one moment, and times come from the database's clock: the machines that
share it need not agree on theirs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from db.columns import set_clock

WRITER = 0x6D61736B
"""The advisory lock that a transaction holds while it writes."""
FRESH_S = 600
"""A connection older than that is opened anew, which also compares the clocks again."""


def is_postgresql(url: URL) -> bool:
    """Whether a URL names PostgreSQL; "postgres" is what some providers write."""
    return url.drivername.partition("+")[0] in ("postgresql", "postgres")


def open_postgresql(url: URL, wait_ms: int) -> Engine:
    """Return an engine whose transactions wait at most `wait_ms` milliseconds to write. psycopg must be installed."""
    bind = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_recycle=FRESH_S)

    def begin(connection: Any) -> None:
        if connection.get_execution_options().get("write"):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait_ms}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")

    event.listen(bind, "begin", begin)
    event.listen(bind, "connect", _compare_clocks)
    return bind


def _compare_clocks(connection: Any, record: Any) -> None:
    asked = datetime.now(UTC)
    found: datetime = connection.execute("SELECT clock_timestamp()").fetchone()[0]
    connection.rollback()
    now = datetime.now(UTC)
    ahead = found - (asked + (now - asked) / 2)
    # Between clocks that are kept by NTP the difference is noise, which would only put moments out of order
    set_clock(ahead if abs(ahead) > timedelta(seconds=1) else timedelta(0))
