"""The confusion matrix in a real browser: a click anywhere in a cell chooses it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes


def test_a_click_on_a_cell_shows_the_images_that_its_pixels_are_from(app, open_tab):
    run = add_run_of_classes(app.installation, add_eggs_and_pans(app.installation, 12))
    page = open_tab(f"{app.address}/runs?run={run.id}", 1440, 2400)
    expect(page.get_by_label("Where")).to_be_visible()
    matrix = page.locator(".js-plotly-plot").first.locator(".nsewdrag")
    matrix.scroll_into_view_if_needed()
    box = matrix.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.7 * box["height"])  # near the edge of pan, pan
    expect(page.get_by_text("512 pixels").first).to_be_visible()
