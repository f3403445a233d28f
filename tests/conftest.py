"""What tests share: a house of their own under a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.session import Database
from engine.artifacts import Artifacts
from engine.settings import Settings
from tests.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = Settings(data_root=tmp_path / "data", database_url="", free_disk_floor_mb=0, heartbeat_s=0.5)
    database = Database(settings.resolved_database_url)
    database.migrate()
    yield House(settings, database, Artifacts(settings.data_root))
    database.close()
