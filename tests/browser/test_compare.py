"""The table of runs and the Compare page in a real browser, on real photographs where they are."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from db import runs
from db.models import Run
from tests.support.photographs import COUNT, add_photographs
from tests.support.predicted import add_run

pytestmark = pytest.mark.shared

ROW_PX = 35
SHIFTS_PX = (0, 2, 4, 8, 12, 16, 24, 32, 40)


@pytest.fixture
def made(app) -> list[Run]:
    """Nine runs on one dataset; each moves its masks further than the one before."""
    dataset = add_photographs(app.installation)
    return [
        add_run(app.installation, dataset, f"moved {shift}", shifts_px=(0, shift, shift // 2), epochs=4)
        for shift in SHIFTS_PX
    ]


def table(page: Page) -> Locator:
    found = page.get_by_test_id("stDataFrame").first
    expect(found.locator("canvas").first).to_be_visible()
    return found


def click_row(page: Page, row: int, x_px: int) -> None:
    """Click in a row of the table (counted from 0), which is one canvas."""
    table(page).click(position={"x": x_px, "y": ROW_PX * (row + 1) + ROW_PX // 2})


def painted(page: Page, count: int) -> None:
    expect(page.locator(".tile")).to_have_count(count)
    expect(page.locator(".tile canvas").first).to_be_visible()


def test_runs_are_opened_ticked_compared_and_put_away(app, made, open_tab):
    page = open_tab(f"{app.address}/runs", width_px=1440, height_px=1200)
    newest, second = made[-1], made[-2]
    expect(page.get_by_role("heading", name=newest.name)).to_be_visible()
    click_row(page, 1, x_px=150)
    expect(page.get_by_role("heading", name=second.name)).to_be_visible()
    expect(page).to_have_url(re.compile(second.id))

    click_row(page, 0, x_px=18)
    expect(page.get_by_text("1 run ticked")).to_be_visible()
    click_row(page, 2, x_px=18)
    expect(page.get_by_text("2 runs ticked")).to_be_visible()
    expect(page.get_by_role("heading", name=second.name)).to_be_visible()  # a tick opens nothing

    page.get_by_role("searchbox", name="Find").fill(made[3].name)
    page.get_by_role("searchbox", name="Find").press("Enter")
    expect(page.get_by_text("2 runs ticked (2 not shown)")).to_be_visible()
    expect(page).to_have_url(re.compile("find=moved"))
    page.reload()
    expect(page.get_by_role("searchbox", name="Find")).to_have_value(made[3].name)
    expect(page.get_by_text("1 of 9 runs")).to_be_visible()
    page.get_by_role("searchbox", name="Find").fill("")
    page.get_by_role("searchbox", name="Find").press("Enter")
    expect(page.get_by_text("9 of 9 runs")).to_be_visible()

    click_row(page, 0, x_px=18)
    expect(page.get_by_text("1 run ticked")).to_be_visible()
    click_row(page, 2, x_px=18)
    expect(page.get_by_text("2 runs ticked")).to_be_visible()
    page.locator(".st-key-runs-bulk-archive").get_by_role("button").click()
    expect(page.get_by_text("2 runs are archived.")).to_be_visible()
    expect(page.get_by_text("7 of 9 runs · 2 archived")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("9 of 9 runs")).to_be_visible()
    with app.installation.database.reading() as session:
        assert len(runs.names(session)) == 9

    click_row(page, 0, x_px=18)
    expect(page.get_by_text("1 run ticked")).to_be_visible()
    click_row(page, 2, x_px=18)
    expect(page.get_by_text("2 runs ticked")).to_be_visible()
    page.locator(".st-key-runs-compare").get_by_role("button").click()
    expect(page.get_by_role("heading", name="Which run is better, image by image?")).to_be_visible()
    expect(page).to_have_url(re.compile(f"{made[-1].id}.*{made[-3].id}"))


def test_points_of_the_chart_choose_images_and_a_link_shows_the_same(app, made, open_tab):
    page = open_tab(f"{app.address}/compare?runs={made[0].id},{made[5].id}", width_px=1440, height_px=3000)
    painted(page, 12)  # six images, in A and in B
    expect(page.get_by_text(re.compile(f"Of {COUNT} images, A is ahead on 8, B on 0"))).to_be_visible()
    chart = page.locator(".st-key-compare-scatter-" + f"{made[0].id}-{made[5].id}")
    plot = chart.locator(".nsewdrag").first.bounding_box()
    # The upper half: images on which B is about as good as A.
    page.mouse.move(plot["x"] + plot["width"] * 0.5, plot["y"] + 1)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] - 1, plot["y"] + plot["height"] * 0.12, steps=8)
    page.mouse.up()
    heading = page.get_by_text(re.compile("images chosen in the chart"))
    expect(heading).to_be_visible()
    expect(page).to_have_url(re.compile("picked="))
    chosen = int(heading.inner_text().split()[0])
    assert 2 <= chosen < COUNT
    tiles = 2 * min(chosen, 6)
    painted(page, tiles)

    page.locator(".tile").first.click()
    expect(page).to_have_url(re.compile("image="))
    page.get_by_text("B better first", exact=True).click()
    expect(page).to_have_url(re.compile("first=B"))
    other = open_tab(page.url, width_px=1440, height_px=3000)
    painted(other, tiles)
    expect(other.get_by_text(f"{chosen} images chosen in the chart")).to_be_visible()
    expect(other.locator(".tile.selected").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nine_runs_fit_a_narrow_page(app, made, open_tab, scheme):
    address = ",".join(run.id for run in made)
    page = open_tab(f"{app.address}/compare?runs={address}", width_px=800, height_px=1200, scheme=scheme)
    expect(page.get_by_role("heading", name="The same image in each run")).to_be_visible()
    painted(page, 12)
    expect(page.get_by_text("Masks of (9 runs have masks)")).to_be_visible()
    expect(page.locator(".pane")).to_have_count(7)  # the image and six of the runs
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.goto(f"{app.address}/runs")
    table(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
