"""A sweep in a real browser, with a real worker: started from the form, followed live, and its best mask set opened."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.installation import add_discs


def test_a_sweep_is_started_followed_to_its_end_and_its_best_mask_set_opened(app, open_tab):
    dataset = add_discs(app.installation, 3)
    page = open_tab(f"{app.address}/sweeps?new=1&dataset={dataset.id}&method=threshold", 1440, 1800)
    trials = page.get_by_label("Trials", exact=True)
    trials.fill("3")
    trials.press("Enter")
    page.get_by_role("button", name="Start sweep").click()
    expect(page.get_by_role("heading", name="discs · threshold · sweep")).to_be_visible()
    # Nobody touches the page: its fragment notices each trial that begins or ends.
    expect(page.get_by_text("3 of 3 trials")).to_be_visible(timeout=300_000)
    expect(page.get_by_text("Best so far:")).to_contain_text("in trial")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Open its mask set").click()
    expect(page.get_by_role("heading", name="Masks", level=1)).to_be_visible()
    expect(page.get_by_text("discs · threshold · sweep · trial").first).to_be_visible()
