"""A real Chromium, for tests and benchmarks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

# As root Chromium refuses its sandbox; the rest keeps it from asking the internet for anything.
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium where it is installed, else Playwright's own. One at a time in a process."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@contextmanager
def tab(browser: Browser, patience_ms: int = 60_000) -> Iterator[Page]:
    """Yield a tab of its own: no other has its cookies."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(patience_ms)
    yield page
    page.context.close()
