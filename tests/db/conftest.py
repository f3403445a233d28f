"""Every test of the database runs on SQLite and on PostgreSQL, unless it says which one it is about."""

from __future__ import annotations

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    said = any(mark.args[0] == "database" for mark in metafunc.definition.iter_markers("parametrize"))
    if "database" in metafunc.fixturenames and not said:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)
