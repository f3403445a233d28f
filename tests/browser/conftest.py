"""A real Chromium on the real app: `streamlit run` on a free port with a temporary DATA_ROOT."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from db.session import Database
from engine.core.settings import Settings
from engine.store.local import LocalStore
from tests.support.installation import REPOSITORY, Installation

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class RunningApp:
    """The app's address, its installation, and what it has printed."""

    address: str
    installation: Installation
    log: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as a browser test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@contextmanager
def running(script: Path, data_root: Path, *options: str, **environment: str) -> Iterator[RunningApp]:
    """Run `streamlit run script` until the block ends; workers it started end with it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    installation_settings = Settings(data_root=data_root, database_url="")
    database = Database(installation_settings.resolved_database_url)
    log = data_root.parent / "app.log"
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    chosen = {"DATA_ROOT": str(data_root), "DATABASE_URL": "", "FREE_DISK_FLOOR_MB": "0", "WARM_WORKER_S": "0"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--server.headless", "true", *options],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **chosen, **environment},
            stdout=output,
            stderr=output,
        )
        try:
            _wait_until_it_answers(f"http://127.0.0.1:{port}/_stcore/health", server, log)
            yield RunningApp(
                f"http://127.0.0.1:{port}", Installation(installation_settings, database, LocalStore(data_root)), log
            )
        finally:
            server.terminate()
            server.wait(timeout=30)
            database.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    """The app on an empty installation of its own."""
    with running(REPOSITORY / "dashboard" / "app.py", tmp_path / "data") as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a tab; the test fails if the page raised a script error or lost a request."""
    tabs: list[Page] = []
    faults: list[str] = []

    def open_(address: str, width_px: int = 1280, height_px: int = 900, scheme: str = "light") -> Page:
        page = browser.new_page(viewport={"width": width_px, "height": height_px}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("response", lambda got: faults.append(f"{got.status} {got.url}") if got.status >= 500 else None)
        tabs.append(page)
        page.goto(address)
        return page

    yield open_
    for tab in tabs:
        tab.context.close()
    assert not faults, faults


@pytest.fixture
def page(app: RunningApp, open_tab: Callable[..., Page]) -> Page:
    """A tab on the home page of an empty installation."""
    tab = open_tab(app.address)
    tab.get_by_role("heading", name="Maskloom").wait_for()
    return tab


def _wait_until_it_answers(address: str, server: subprocess.Popen[bytes], log: Path, patience_s: float = 60) -> None:
    give_up = time.monotonic() + patience_s
    while time.monotonic() < give_up:
        if server.poll() is not None:
            raise AssertionError(f"The app ended: {log.read_text(errors='replace')}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer within {patience_s} s: {log.read_text(errors='replace')}")
