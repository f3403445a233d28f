"""The label bench in a real browser, on real photographs where available: compare, tick, label, drop, save."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from db import datasets, recipes
from db.models import Dataset
from engine.store.keys import backbone_key
from tests.browser.test_components import until
from tests.support.backbones import small_network
from tests.support.photographs import COUNT, add_photographs

pytestmark = pytest.mark.shared

WORK_MS = 120_000
LABEL_ALL = re.compile("Make masks for all .* images")


@pytest.fixture
def dataset(app) -> Dataset:
    return add_photographs(app.installation)


@pytest.fixture
def bench(app, dataset, open_tab):
    """Return a function that opens the bench with the recipes given and waits until all masks are judged."""

    def open_(**slots: str) -> Page:
        query = "".join(f"&{slot}={text}" for slot, text in slots.items())
        page = open_tab(f"{app.address}/labels?dataset={dataset.id}{query}", width_px=1440, height_px=1600)
        until_judged(page, len(slots))
        return page

    return open_


def until_judged(page: Page, slots: int) -> None:
    expect(qualities(page)).to_have_text([re.compile(r"^0\.\d{3}$|^1\.000$")] * slots, timeout=WORK_MS)


def qualities(page: Page):
    return page.get_by_test_id("stMetric").filter(has_text="Estimated score (").get_by_test_id("stMetricValue")


def tops(page: Page, image_id: str) -> list[float]:
    return [tile.bounding_box()["y"] for tile in page.locator(f".tile[data-id='{image_id}']").all()]


def test_three_recipes_show_the_same_images_at_the_same_height(bench, app, dataset):
    page = bench(a="kmeans", b="threshold", c="kmeans,clusters:2")
    with app.installation.database.reading() as session:
        probe = [image.id for image in datasets.probe_images(session, dataset.id)]
    expect(page.locator(".tile")).to_have_count(3 * len(probe))
    for image_id in (probe[0], probe[-1]):
        heights = tops(page, image_id)
        assert len(heights) == 3
        assert max(heights) - min(heights) < 2
    page.get_by_role("button", name="close icon").nth(1).click()
    expect(page.locator(".tile")).to_have_count(2 * len(probe))
    expect(page).to_have_url(re.compile("b=kmeans"))


def test_deep_features_ask_for_weights_and_use_them(app, dataset, open_tab):
    address = f"{app.address}/labels?dataset={dataset.id}&a=deep_features"
    page = open_tab(address, width_px=1440, height_px=1600)
    expect(page.get_by_text("This method needs pretrained weights.")).to_be_visible()
    expect(page.get_by_role("button", name="Get (9 MB)")).to_be_visible()
    network = app.installation.settings.data_root / backbone_key()
    network.parent.mkdir(exist_ok=True)
    small_network(network, np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32))
    page.reload()
    until_judged(page, 1)
    expect(page.get_by_text("This method needs pretrained weights.")).to_be_hidden()


def test_a_tick_changes_the_masks_and_is_stored_with_the_job(bench, app):
    page = bench(a="dataset_clusters,clusters:6")
    rows = page.locator(".cluster")
    expect(rows.first.locator("img").first).to_be_visible()
    boxes = page.locator(".cluster input")
    before = [box.is_checked() for box in boxes.all()]
    assert any(before)
    assert not all(before)
    free = before.index(False)
    with page.expect_response(lambda answer: "preview" in answer.url):
        boxes.nth(free).check()
    expected = " ".join(str(number) for number, ticked in enumerate(before) if ticked or number == free)
    expect(page).to_have_url(re.compile(f"ticked(:|%3A){expected.replace(' ', '(%20|[+])')}(&|$)"))
    page.get_by_role("button", name="Reset to the proposal").click()
    expect(boxes.nth(free)).not_to_be_checked()
    boxes.nth(free).check()
    page.get_by_role("button", name=LABEL_ALL).click()
    page.wait_for_url(re.compile("labels="))
    with app.installation.database.reading() as session:
        [made] = recipes.listing(session)
    assert made.params["ticked"] == expected
    assert len(made.state["clusters"]) == len(before)


def test_a_click_into_an_image_ticks_its_cluster_and_masks_follow_before_the_server_answers(bench):
    page = bench(a="dataset_clusters,clusters:6,ticked:none")
    tile = page.locator(".tile").first
    canvas = tile.locator("canvas")
    overlay = "canvas => canvas.toDataURL()"
    lit = page.locator(".cluster.lit")
    page.locator(".cluster").first.hover()
    expect(lit).to_have_attribute("data-number", "0")
    page.mouse.move(1, 1)
    expect(lit).to_have_count(0)
    bare = canvas.evaluate(overlay)
    asked: list[str] = []
    page.route("**/files/pictures**", lambda route: asked.append(route.request.url))  # they never arrive
    canvas.hover()
    number = lit.get_attribute("data-number")
    canvas.click()
    expect(page.locator(f".cluster[data-number='{number}'] input")).to_be_checked()
    page.mouse.move(1, 1)
    expect(lit).to_have_count(0)
    until(page, lambda: canvas.evaluate(overlay) != bare)
    ticked = canvas.evaluate(overlay)
    expect(page).to_have_url(re.compile(f"ticked(:|%3A){number}(&|$)"))
    expect(page.get_by_role("dialog")).to_have_count(0)
    until(page, lambda: asked)  # the script has answered, and its masks are on the way
    page.locator(".cluster").first.hover()
    expect(lit).to_have_count(1)
    page.mouse.move(1, 1)
    expect(lit).to_have_count(0)
    until(page, lambda: canvas.evaluate(overlay) == ticked)


def test_a_test_image_is_large_in_all_recipes_and_the_viewer_moves_its_threshold(bench):
    page = bench(a="kmeans", b="kmeans,clusters:2")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator(".tile").nth(1).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    panes = dialog.locator(".pane canvas")
    expect(panes).to_have_count(2)
    until(page, lambda: panes.first.bounding_box()["width"] > 600)
    name = dialog.get_by_text(re.compile("[.]jpg$|[.]png$"))
    first = name.inner_text()
    drawn = "canvas => canvas.toDataURL()"
    shown = panes.first.evaluate(drawn)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/files/" in request.url else None)
    dialog.get_by_role("slider", name="Threshold").press("Home")
    until(page, lambda: panes.first.evaluate(drawn) != shown)
    assert asked == []
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(name).not_to_have_text(first)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_worst_are_dropped_and_one_is_restored(bench, app):
    page = bench(a="kmeans")
    page.get_by_role("button", name=LABEL_ALL).click()
    trust = page.get_by_role("button", name="Plausibility vs truth")
    trust.click(timeout=WORK_MS)
    expect(page.get_by_text(f"On the {COUNT} images with truth")).to_be_visible(timeout=WORK_MS)
    trust.click()
    page.get_by_role("button", name="Drop bad masks").click()
    page.get_by_role("button", name="Drop 1 mask").click()
    expect(page.get_by_text("1 dropped: not trained on")).to_be_visible()
    with app.installation.database.reading() as session:
        [made] = recipes.listing(session)
        [worst] = recipes.dropped_images(session, made.id)
    tile = page.locator(f".tile[data-id='{worst}']").last
    expect(tile).to_contain_text("dropped")
    expect(tile).to_have_class(re.compile("left-out"))
    page.keyboard.press("Escape")
    tile.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Components of the plausibility")).to_be_visible()
    dialog.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("1 dropped: not trained on")).to_have_count(0)
    with app.installation.database.reading() as session:
        assert recipes.dropped_images(session, made.id) == set()


def test_a_recipe_is_downloaded_and_imported(bench, tmp_path):
    page = bench(a="kmeans,clusters:7")
    page.get_by_role("button", name="Save this recipe").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name of the recipe").fill("seven")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Edit in A")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="download icon").click()
    content = json.loads(download.value.path().read_text())
    assert (content["method"], content["params"]["clusters"]) == ("kmeans", 7)
    path = tmp_path / "eight.json"
    path.write_text(json.dumps(content | {"name": "eight", "params": {"clusters": 8}}))
    page.get_by_role("button", name="Import a recipe").click()
    dialog.locator("input[type=file]").set_input_files(path)
    dialog.get_by_role("button", name="Save and edit it").click()
    expect(page).to_have_url(re.compile("clusters(:|%3A)8"))
