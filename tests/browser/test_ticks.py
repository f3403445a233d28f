"""Ticks as classes in a real browser: choose a class, tick clusters as it, and label the dataset."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from db import datasets, recipes
from engine.imaging import class_maps, codec, metrics
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.two_classes import NAMES, add_scenes

WORK_MS = 120_000
LABEL_ALL = re.compile("Make masks for all .* images")


def start_labelling(page: Page) -> None:
    page.get_by_role("button", name=LABEL_ALL).click()
    page.wait_for_url(re.compile("labels="))


def test_clusters_are_ticked_as_classes_of_the_dataset_and_stored(app, open_tab):
    dataset = add_scenes(app.installation, 6)
    page = open_tab(f"{app.address}/labels?dataset={dataset.id}&a=kmeans,clusters:3,position_weight:0", 1440, 1400)
    disc, square = (page.get_by_role("radio", name=re.compile(f"{word}$")) for word in NAMES[1:])
    expect(disc).to_be_checked(timeout=WORK_MS)
    lightest = page.get_by_role("checkbox", name="Region 2 of 3 from dark to light")
    lightest.check()
    expect(page).to_have_url(re.compile("ticked(:|%3A)2"))
    expect(lightest).to_have_accessible_name(re.compile("ticked as disc$"))
    square.check()
    page.get_by_role("checkbox", name="Region 1 of 3 from dark to light").check()
    expect(page).to_have_url(re.compile("ticked(:|%3A)1(=|%3D)2(%20|[+])2"))
    expect(page.get_by_text("Foreground Dice vs truth").first).to_be_visible()
    start_labelling(page)
    expect(page.get_by_text("6 of 6 masks")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("classes disc, square")).to_be_visible()
    with app.installation.database.reading() as session:
        [made] = recipes.listing(session)
        image = datasets.images(session, dataset.id)[0]
    assert made.params["ticked"] == "1=2 2"
    assert [entry["name"] for entry in made.classes] == list(NAMES)
    files = app.installation.files
    levels, likely = (
        codec.decode_png(files.read(key(made.id, image.id))) for key in (stored.label_key, stored.label_classes_key)
    )
    truth = codec.decode_png(files.read(stored.truth_key(dataset.id, image.id)))
    found = class_maps.to_classes(levels, likely, 0.5)
    assert all(metrics.dice(found == index, truth == index) > 0.8 for index in (1, 2))


def test_a_class_is_added_where_the_dataset_has_none(app, open_tab):
    dataset = add_discs(app.installation, 6, truth=False)
    page = open_tab(f"{app.address}/labels?dataset={dataset.id}&a=dataset_clusters,clusters:4", 1440, 1400)
    boxes = page.locator(".cluster input")
    expect(boxes.first).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_role("radio", name=re.compile("class 1$"))).to_have_count(0)
    before = [box.is_checked() for box in boxes.all()]
    free = before.index(False)
    page.get_by_role("button", name="Add a class", exact=True).click()
    expect(page.get_by_role("radio", name=re.compile("class 2$"))).to_be_checked()
    boxes.nth(free).check()
    expect(page).to_have_url(re.compile(f"{free}(=|%3D)2"))
    expect(boxes.nth(free)).to_have_accessible_name(re.compile("ticked as class 2$"))
    boxes.nth(free).click()
    expect(boxes.nth(free)).not_to_be_checked()
    boxes.nth(free).check()
    start_labelling(page)
    expect(page.get_by_text("classes class 1, class 2")).to_be_visible(timeout=WORK_MS)
    with app.installation.database.reading() as session:
        [made] = recipes.listing(session)
    assert f"{free}=2" in made.params["ticked"].split()
    assert [entry["name"] for entry in made.classes] == ["background", "class 1", "class 2"]
