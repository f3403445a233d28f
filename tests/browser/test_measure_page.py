"""Measuring objects in a real browser: choose, measure, sort, filter, and go between rows and the picture."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.object_measurements import add_spots

WORK_MS = 120_000
ROW_PX = 35


def test_objects_are_measured_sorted_filtered_and_seen(app, open_tab):
    add_spots(app.installation)
    page = open_tab(f"{app.address}/measure", width_px=1440)
    expect(page.get_by_text(re.compile("^2 objects"))).to_be_visible()
    page.get_by_role("button", name="Measure 3 images").click()
    expect(page.get_by_role("tab", name="Objects")).to_be_visible(timeout=WORK_MS)
    page.get_by_text("Descending", exact=True).click()
    expect(page).to_have_url(re.compile("order=Descending"))

    picture = page.locator("img.objects")
    expect(picture).to_have_attribute("alt", re.compile("plate 1.png with its objects outlined$"))
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 15, box["y"] + 1.5 * ROW_PX)
    expect(page).to_have_url(re.compile(r"object=[0-9a-f]{32}\.1"))
    expect(picture).to_have_attribute("alt", re.compile("object 1 highlighted$"))

    picture.scroll_into_view_if_needed()
    seen = picture.bounding_box()
    picture.click(position={"x": seen["width"] * 50 / 96, "y": seen["height"] * 70 / 96})  # the disc of radius 10
    expect(page).to_have_url(re.compile(r"object=[0-9a-f]{32}\.3"))
    expect(page.get_by_text("object 3", exact=False).first).to_be_visible()

    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("combobox", name="Columns").click()
    page.get_by_role("option", name="Area (px²)").click()
    page.get_by_role("spinbutton", name="At least").fill("400")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("filter="))
    expect(page.get_by_text("2 objects of 5", exact=True)).to_be_visible()  # of radius 12 and 16


def test_every_page_fits_into_the_navigation_of_a_narrow_window(app, open_tab):
    page = open_tab(f"{app.address}/measure", width_px=800)
    expect(page.get_by_test_id("stTopNavLink").filter(has_text="Measure")).to_be_in_viewport(ratio=1)
    expect(page.get_by_text(re.compile("^[0-9]+ more$"))).to_have_count(0)
