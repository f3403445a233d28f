"""Pages under test: they see the installation of the test, and start no workers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dashboard.server import resources
from engine.core import settings as settings_module
from tests.support.installation import Installation
from tests.support.pages import page_at

# Each page under test would look through all installed packages for components anew: a quarter of its time.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture
def submitted(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ids of the jobs that a page gave to the launcher, while the web half reads this test's installation."""
    started: list[str] = []

    class Recorder:
        def submit(self, job_id: str) -> None:
            started.append(job_id)

        def look_after(self, database) -> None:
            pass

    monkeypatch.setenv("DATA_ROOT", str(installation.settings.data_root))
    monkeypatch.setenv("DATABASE_URL", installation.settings.resolved_database_url)
    monkeypatch.setenv("WARM_WORKER_S", "0")
    settings_module.settings.cache_clear()
    monkeypatch.setattr(resources, "launcher", Recorder)
    yield started
    resources.database().close()
    settings_module.settings.cache_clear()


@pytest.fixture
def open_page(submitted: list[str]) -> Callable[..., AppTest]:
    """Return a function that opens "views/runs/page.py" with the query parameters given, the way a browser would."""

    def open_(page: str, **query: str) -> AppTest:
        return page_at(page, **query).run()

    return open_


@pytest.fixture
def dashboard(installation: Installation, submitted: list[str]) -> Installation:
    """The installation, with the web half reading it: for tests of routes and shared parts."""
    return installation
