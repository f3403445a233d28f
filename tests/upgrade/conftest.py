"""Stored installations, that of version 0.1.0 first of all, unzipped and opened by the code under test."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.session import Database
from engine.core.settings import Settings
from engine.store.local import LocalStore
from tests.dashboard.conftest import open_page, submitted
from tests.support.installation import Installation

__all__ = ["open_page", "submitted"]  # the pages under test see the installation of this folder

STORED = Path(__file__).with_name("installation-0.1.0.zip")


def upgraded(root: Path, stored: Path = STORED) -> Installation:
    """Unzip an installation into `root` and open it as the app does at its start."""
    with zipfile.ZipFile(stored) as archive:
        archive.extractall(root)
    settings = Settings(data_root=root, database_url="", free_disk_floor_mb=0, heartbeat_s=0.5, warm_worker_s=0)
    database = Database(settings.resolved_database_url)
    database.migrate()
    return Installation(settings, database, LocalStore(root))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation of this test alone."""
    opened = upgraded(tmp_path / "data")
    yield opened
    opened.database.close()


@pytest.fixture
def stored_database(tmp_path: Path) -> Path:
    """The database file as version 0.1.0 left it."""
    with zipfile.ZipFile(STORED) as archive:
        return Path(archive.extract("app.db", tmp_path / "stored"))
