"""The gallery in a real browser, on real photographs where they are: a link is the whole view, keys turn pages."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from db import datasets, recipes
from db.models import Label, Prediction
from engine.imaging import metrics
from tests.browser.test_components import until
from tests.support.photographs import add_photographs
from tests.support.predicted import add_label_set, add_run, truth_of

pytestmark = pytest.mark.shared

COUNT = 60
ORDER = "Suspicious first"


@pytest.fixture
def run(app):
    """A run of 60 photographs whose labels are the truth moved sideways, with all that a gallery sorts by."""
    installation = app.installation
    dataset = add_photographs(installation, COUNT)
    label_set_id = add_label_set(installation, dataset, shift_px=6)
    made = add_run(installation, dataset, "photographs", label_set_id=label_set_id)
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
        labelled = recipes.labelled_images(session, label_set_id)
    assert len(labelled) == COUNT
    with installation.database.writing() as session:
        for number, image in enumerate(images):
            shown = session.query(Prediction).filter_by(image_id=image.id).one()
            shown.uncertainty, shown.flip_agreement = number / COUNT, 1 - (number * 7 % COUNT) / COUNT
            label = session.get_one(Label, (label_set_id, image.id))
            truth = truth_of(installation, dataset, image.id)
            label.dice = metrics.dice(truth, truth.copy()) * 0.8
    return made


def wait_for_tiles(page: Page, count: int) -> None:
    expect(page.locator(".tile")).to_have_count(count)
    expect(page.locator(".tile .frame.loading")).to_have_count(0)


def tiles(page: Page) -> list[str]:
    return page.locator(".tile").evaluate_all("found => found.map(tile => tile.innerText)")


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("combobox", name=label)).to_have_value(option)


def slider_values(page: Page) -> dict[str, list[str]]:
    found = page.get_by_role("slider").evaluate_all(
        "all => all.map(one => [one.getAttribute('aria-label'), one.getAttribute('aria-valuenow')])"
    )
    values: dict[str, list[str]] = {}
    for label, value in found:
        values.setdefault(label, []).append(value)
    return values


def press(page: Page, slider: str, key: str, times: int, which: int = 0) -> None:
    page.get_by_role("slider", name=slider).nth(which).focus()
    for _ in range(times):
        page.keyboard.press(key)


def in_address(page: Page, name: str, value: str | None) -> None:
    """Wait until the address says so."""
    page.wait_for_function("([name, value]) => new URL(location).searchParams.get(name) === value", arg=[name, value])


def test_a_link_is_the_whole_view(app, run, open_tab):
    page = open_tab(f"{app.address}/gallery?run={run.id}", width_px=1440, height_px=4200)
    wait_for_tiles(page, 48)
    choose(page, "Sort", ORDER)
    choose(page, "View", "Outline")
    page.get_by_role("button", name="Filter").click()
    press(page, "Mask threshold", "ArrowLeft", 20)
    in_address(page, "threshold", "0.3")
    press(page, "Counts as success from Dice", "ArrowRight", 5)
    in_address(page, "success", "0.85")
    press(page, "Uncertainty", "ArrowRight", 5)
    in_address(page, "uncertainty", "0.05")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Display").click()
    press(page, "Opacity of the masks", "ArrowRight", 2)
    in_address(page, "opacity", "0.7")
    press(page, "Width of a tile", "ArrowRight", 2)
    in_address(page, "tile", "240")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Pseudo-label", exact=True).or_(
        page.get_by_role("radio", name="Pseudo-label", exact=True)
    ).first.click()
    in_address(page, "reference", "Pseudo-label")
    expect(page.get_by_text("Mean agreement with the pseudo-label")).to_be_visible()
    wait_for_tiles(page, 48)
    page.get_by_role("button", name="Next Shortcut N").click()
    in_address(page, "page", "2")
    wait_for_tiles(page, 57 - 48)
    expect(page.get_by_text(re.compile("57 of 60 images"))).to_be_visible()
    asked = parse_qs(urlsplit(page.url).query)
    assert {
        "run",
        "reference",
        "threshold",
        "success",
        "sort",
        "view",
        "opacity",
        "tile",
        "uncertainty",
        "page",
    } <= set(asked)

    other = open_tab(page.url, width_px=1440, height_px=4200)  # a context of its own, as a colleague's
    wait_for_tiles(other, 57 - 48)
    assert tiles(other) == tiles(page)
    expect(other.get_by_text(re.compile("57 of 60 images"))).to_be_visible()
    expect(other.get_by_text("Mean agreement with the pseudo-label")).to_be_visible()
    for label, option in (("Sort", ORDER), ("View", "Outline")):
        expect(other.get_by_role("combobox", name=label)).to_have_value(option)
    for button in ("Display", "Filter"):
        for tab in (page, other):
            tab.get_by_role("button", name=button, exact=True).click()
            expect(tab.get_by_role("slider").first).to_be_visible()
        assert slider_values(other) == slider_values(page)
        for tab in (page, other):
            tab.keyboard.press("Escape")
    other.locator(".tile").nth(3).click()
    other.get_by_role("button", name="Back to the gallery").wait_for()
    third = open_tab(other.url)
    third.get_by_role("button", name="Back to the gallery").wait_for()
    assert parse_qs(urlsplit(third.url).query)["image"] == parse_qs(urlsplit(other.url).query)["image"]


def test_pages_turn_by_keys_and_bring_their_pictures_in_a_few_answers(app, run, open_tab):
    page = open_tab(f"{app.address}/gallery?run={run.id}", width_px=1440, height_px=4200)
    wait_for_tiles(page, 48)
    first, asked = tiles(page), []
    page.on("request", lambda request: asked.append(request.url) if "/files/" in request.url else None)
    with page.expect_request(lambda request: "/files/" in request.url):
        page.keyboard.press("n")
    wait_for_tiles(page, 12)
    assert not set(first) & set(tiles(page))
    assert len(asked) <= 3  # 36 pictures: image, mask and reference of 12 tiles
    page.keyboard.press("p")
    wait_for_tiles(page, 48)
    assert tiles(page) == first
    drawn = page.locator(".tile canvas").first.evaluate(
        "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    )
    assert drawn > 20  # a photograph, no empty canvas


def test_the_next_page_begins_at_its_first_tile(app, run, open_tab):
    page = open_tab(f"{app.address}/gallery?run={run.id}", width_px=800)
    expect(page.locator(".tile")).to_have_count(48)
    page.get_by_role("button", name="Next Shortcut N").scroll_into_view_if_needed()
    page.get_by_role("button", name="Next Shortcut N").click()
    expect(page.locator(".tile")).to_have_count(12)
    expect(page.locator(".tile").first).to_be_in_viewport()


def test_one_picture_is_large_and_arrows_open_the_next_image(app, run, open_tab):
    page = open_tab(f"{app.address}/gallery?run={run.id}", width_px=1440, height_px=900)
    page.locator(".tile").nth(1).click()
    lead = page.locator(".pane.lead .frame")
    expect(lead).to_be_visible()
    other = page.locator(".pane:not(.lead) .frame").first
    until(page, lambda: lead.bounding_box()["width"] > 2 * other.bounding_box()["width"])
    page.get_by_role("button", name="Show large: Probability").press("Enter")
    expect(page.locator(".pane.lead .left")).to_have_text("Probability")
    name = page.get_by_role("heading", level=1)
    first = name.inner_text()
    page.keyboard.press("ArrowRight")
    expect(name).not_to_have_text(first)
    expect(page.locator(".pane.lead .left")).to_have_text("Probability")
    page.keyboard.press("ArrowLeft")
    expect(name).to_have_text(first)


def test_filters_are_named_and_cleared_and_the_ranks_are_judged_by_truth(app, run, open_tab):
    page = open_tab(f"{app.address}/gallery?run={run.id}&split=Validation&search=disc", width_px=800, scheme="dark")
    expect(page.get_by_text(re.compile("20 of 60 images"))).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_text(re.compile("of 60 images:"))).to_have_count(0)
    in_address(page, "split", None)
    in_address(page, "search", None)
    page.get_by_text("How reliable are these orders?").click()
    expect(page.get_by_text("These orders do not use truth", exact=False)).to_be_visible()
    page.locator(".js-plotly-plot .scatterlayer").last.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
