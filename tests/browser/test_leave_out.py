"""The tab *Leave out* in a real browser: a region drawn with a real mouse, erased in part, and cleared."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from engine.imaging import codec
from engine.store import keys as stored
from tests.browser.test_brush import Editor
from tests.browser.test_components import until
from tests.support.installation import add_discs
from tests.support.leaving_out import region_now

SIDE = 64


def test_a_region_is_drawn_erased_in_part_and_cleared(app, open_tab):
    dataset = add_discs(app.installation, count=3, size_px=SIDE)

    def region():
        found = region_now(app.installation, dataset.id)
        key = stored.left_out_key(dataset.id, found)
        return codec.decode_png(app.installation.files.read(key)) > 0 if found else np.zeros((SIDE, SIDE), bool)

    page = open_tab(f"{app.address}/datasets?dataset={dataset.id}", height_px=1400)
    page.get_by_role("tab", name="Leave out", exact=True).click()
    page.get_by_text("Nothing is left out.", exact=True).wait_for()
    page.get_by_test_id("stCheckbox").filter(has_text="Draw").locator("label").click()
    expect(page.get_by_role("radio", name="leave out", exact=True)).to_be_checked()
    editor = Editor(page, SIDE)
    page.get_by_role("radio", name="Box", exact=True).click()
    editor.stroke((0, 0), (63, 15))
    until(page, lambda: region()[1:15, 1:62].all() and not region()[17:].any())
    page.get_by_text("of each image is left out").wait_for()
    editor.press("e")
    editor.stroke((0, 0), (31, 15))
    until(page, lambda: region()[1:15, 34:62].all() and not region()[1:15, 1:30].any())
    drawn = region()

    page.get_by_test_id("stCheckbox").filter(has_text="Draw").locator("label").click()
    page.get_by_role("button", name="Clear", exact=True).click()
    until(page, lambda: not region().any())
    page.get_by_role("button", name="Undo", exact=True).click()
    until(page, lambda: np.array_equal(region(), drawn))
