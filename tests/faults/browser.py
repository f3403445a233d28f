"""Going on with a job in a real Chromium: the page where its panel is, and the button that the person presses."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from tests.faults.jobs_at_work import Work
from tests.faults.rig import Rig

AGAIN = re.compile(r"\b(Retry|Resume|Start over|Put back in the queue|Try again)$")
HALTED = ("failed", "stopped", "lost")
CLICK_MS = 60_000


def press(page: Page, rig: Rig, work: Work) -> None:
    """Press Resume, Retry or what the page calls it, unless the app itself puts the job back meanwhile."""
    page.goto(rig.address + work.page)
    button = page.get_by_role("button", name=AGAIN).first

    def offered() -> bool:
        page.wait_for_timeout(100)
        return button.is_visible() or rig.view(work.job_id).status not in HALTED

    rig.until(offered, f"the page of the {work.kind} job offers to go on with it", CLICK_MS / 1000)
    if rig.view(work.job_id).status in HALTED:
        button.click()
        rig.until(lambda: rig.view(work.job_id).status not in HALTED, "the button has put the job back")
