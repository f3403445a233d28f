"""Measuring objects in a real browser: choose, measure, sort, filter, and go between rows and the picture."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from db.models import Measurement
from engine.exports.base import formats_of
from tests.support.object_measurements import add_spots, measure

WORK_MS = 120_000
ROW_PX = 35


def test_objects_are_measured_sorted_filtered_and_seen(app, open_tab):
    add_spots(app.installation)
    page = open_tab(f"{app.address}/measure", width_px=1440)
    expect(page.get_by_text(re.compile("^2 objects"))).to_be_visible()
    page.get_by_role("button", name="Measure 3 images").dblclick()
    expect(page.get_by_role("tab", name="Objects")).to_be_visible(timeout=WORK_MS)
    with app.installation.database.reading() as session:
        assert session.query(Measurement).count() == 1
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


def test_back_and_forward_change_the_filter_and_what_is_drawn_around_nothing_does_not(app, open_tab):
    found = measure(app.installation, "truth", add_spots(app.installation).id)
    page = open_tab(f"{app.address}/measure?measurement={found.id}", width_px=1440, height_px=1200)
    page.get_by_role("tab", name="Plots").click()
    plot = page.locator(".stPlotlyChart").nth(1).locator(".nsewdrag")
    box = plot.bounding_box()

    def draw(*corners):
        for number, (x, y) in enumerate(corners):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
            if number == 0:
                page.mouse.down()
        page.mouse.up()

    page.get_by_text("Draw around points").wait_for()
    draw((0.45, 0.45), (0.5, 0.45), (0.5, 0.5), (0.45, 0.5))
    expect(page.get_by_text("There is no object inside of what you drew.")).to_be_visible()
    expect(page).not_to_have_url(re.compile("filter="))
    page.get_by_text("There is no object inside of what you drew.").wait_for(state="hidden")
    draw((0.01, 0.01), (0.5, 0.01), (0.5, 0.99), (0.01, 0.99))
    expect(page).to_have_url(re.compile("filter=.*region"))
    passing = page.get_by_text(re.compile("^[1-4] of 5 objects pass the filter"))
    expect(passing).to_be_visible()
    page.go_back()
    expect(page).not_to_have_url(re.compile("filter="))
    expect(passing).to_be_hidden()
    page.go_forward()
    expect(passing).to_be_visible()


def test_all_downloads_are_prepared_at_once(app, open_tab):
    found = measure(app.installation, "truth", add_spots(app.installation).id)
    page = open_tab(f"{app.address}/measure?measurement={found.id}", width_px=1440, height_px=1000)
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_role("button", name="Prepare", exact=True).last).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Prepare all").click()
    expect(page.get_by_role("link", name=re.compile("^Download"))).to_have_count(
        len(formats_of("measurement")), timeout=WORK_MS
    )
    expect(page.get_by_role("button", name=re.compile("^Prepare"))).to_have_count(0)


def test_every_page_fits_into_the_navigation_of_a_narrow_window(app, open_tab):
    page = open_tab(f"{app.address}/measure", width_px=800)
    expect(page.get_by_test_id("stTopNavLink").filter(has_text="Measure")).to_be_in_viewport(ratio=1)
    expect(page.get_by_text(re.compile("^[0-9]+ more$"))).to_have_count(0)
