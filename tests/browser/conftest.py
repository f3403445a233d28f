"""A real Chromium on the real app: one app for all tests of a process, emptied before each that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from playwright.sync_api import Browser, Page, expect

from tests.support.running_app import RunningApp, running

HERE = Path(__file__).parent
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as a browser test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note whether a test failed because an element did not come in time."""
    report = yield
    report.out_of_patience = report.failed and call.excinfo is not None and "Call log:" in str(call.excinfo.value)
    return report


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test, and once more where an element did not come in time: Chromium, short of cores, can lose a click.

    The first try is counted and shown as "rerun"; a second failure of any kind is a failure.
    """
    if HERE not in item.path.parents:
        return None  # pytest asks about every test
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.out_of_patience for report in reports):
        for report in reports:
            report.outcome = "rerun" if report.failed else report.outcome
            item.ihook.pytest_runtest_logreport(report=report)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture(scope="session")
def common_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app that all tests with the usual settings share. Whoever uses it empties it first."""
    with running(tmp_path_factory.mktemp("common") / "data") as started:
        yield started


@pytest.fixture
def app(common_app: RunningApp) -> RunningApp:
    """The app on an empty installation."""
    common_app.empty()
    return common_app


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
