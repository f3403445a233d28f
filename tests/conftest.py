"""What tests share: an installation of their own under a temporary folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser
from xdist.scheduler import LoadScopeScheduling

from db.session import Database
from engine.core.settings import Settings
from engine.store.local import LocalStore
from tests.support.chromium import chromium
from tests.support.installation import Installation

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

IN_A_BROWSER = ("tests/browser/", "tests/faults/test_faults.py", "tests/faults/test_two_of_everything.py")


class OneBrowser(LoadScopeScheduling):
    """Hands out test by test, but all that need a browser to one process: two cores do not carry three browsers."""

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith(IN_A_BROWSER) else nodeid


def pytest_configure(config: pytest.Config) -> None:
    """Keep the data of the checkout out of reach: a thread of a page may outlive the settings of its test."""
    if "PYTEST_XDIST_WORKER" not in os.environ:  # test processes inherit the folder of the process that starts them
        os.environ["DATA_ROOT"] = tempfile.mkdtemp(prefix="maskloom-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ["DATA_ROOT"], ignore_errors=True))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneBrowser:
    return OneBrowser(config, log)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has been migrated, to copy: a tenth of the time of making one."""
    path = tmp_path_factory.mktemp("empty") / "app.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def installation(tmp_path: Path, empty_database: Path) -> Iterator[Installation]:
    settings = Settings(data_root=tmp_path / "data", database_url="", free_disk_floor_mb=0, heartbeat_s=0.5)
    settings.data_root.mkdir()
    shutil.copyfile(empty_database, settings.data_root / "app.db")
    database = Database(settings.resolved_database_url)
    yield Installation(settings, database, LocalStore(settings.data_root))
    database.close()
