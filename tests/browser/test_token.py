"""The shared access token in a real browser: entered once, valid for pages and images, and logged out."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.accessibility import axe_findings
from tests.support.installation import add_discs
from tests.support.running_app import running

TOKEN = "a token of 24 characters"


def test_the_token_is_entered_once_until_logging_out(tmp_path, open_tab):
    with running(tmp_path / "data", ACCESS_TOKEN=TOKEN) as app:
        add_discs(app.installation)
        page = open_tab(f"{app.address}/datasets")
        field = page.get_by_label("Access token")
        assert axe_findings(page) == []
        field.fill("not the token")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("The token is wrong").wait_for()
        field.fill(TOKEN)
        field.press("Enter")
        page.get_by_test_id("stTopNavLink").filter(has_text="Datasets").first.click()
        page.locator("img[src*='/thumbs/'], .tile .frame:not(.loading)").first.wait_for()
        assert TOKEN not in page.url and TOKEN not in app.log.read_text()
        page.get_by_test_id("stTopNavLink").filter(has_text="Account").first.click()
        page.get_by_role("link", name="Log out").wait_for()
        assert axe_findings(page) == []
        page.get_by_role("link", name="Log out").click()
        page.get_by_label("Access token").wait_for()
        expect(page.get_by_test_id("stTopNavLink")).to_have_count(0)
