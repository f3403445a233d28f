"""Masks that follow strokes in a real browser: painted with a real mouse while the dialog stays open."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.test_brush import SIDE, Editor
from tests.browser.test_components import until
from tests.support.installation import add_dataset, disc

RECIPE = "strokes,superpixels:150,backbone:none"


class Bench(Editor):
    """The dialog of a test image, with small masks of all of them; tiles by their number."""

    def __init__(self, page, side):
        self.page, self.side = page, side
        page.locator(".tile").first.click()
        expect(page.locator(".live .told")).to_contain_text("Draw a stroke on what is meant")
        super().__init__(page, side)

    def mark(self, value):
        """Draw a short stroke on the disc of the first image, or beside it."""
        mask = disc(SIDE, 90, seed=0)[1]
        row, column = (int(place) for place in (np.argwhere(mask).mean(0) if value else np.argwhere(~mask)[0] + 12))
        self.press(str(value))
        self.size(18)
        self.stroke((column, row), (column + 20, row))

    @property
    def tiles(self):
        return self.page.locator(".live .tile")

    def masks(self):
        """Return the address of the mask that each tile shows; empty without one."""
        return [tile.get_attribute("data-shows") for tile in self.tiles.all()]

    def overlay(self, number):
        """Return a value that depends on every pixel that a tile shows."""
        return self.tiles.nth(number).locator("canvas").evaluate("canvas => canvas.toDataURL()")


@pytest.fixture
def bench(app, open_tab):
    pairs = [(disc(SIDE, 90, seed=number)[0], None) for number in range(6)]
    dataset = add_dataset(app.installation, "discs", pairs)
    return Bench(open_tab(f"{app.address}/labels?dataset={dataset.id}&a={RECIPE}", height_px=1100), SIDE)


def test_a_stroke_changes_the_masks_of_other_images_at_once_and_undo_changes_them_back(bench):
    page = bench.page
    expect(bench.tiles).to_have_count(6)
    until(page, lambda: bench.masks() == [""] * 6)
    bare = bench.overlay(3)
    bench.mark(1)
    until(page, lambda: all(bench.masks()))
    first = bench.masks()
    assert bench.overlay(3) != bare
    bench.mark(0)
    until(page, lambda: all(mask != old for mask, old in zip(bench.masks()[2:], first[2:], strict=True)))
    bench.press("z")
    until(page, lambda: bench.masks() == first)
    bench.press("z")
    expect(page.locator(".live .told")).to_contain_text("Draw a stroke on what is meant")
    until(page, lambda: bench.masks() == [""] * 6 and bench.overlay(3) == bare)
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_a_late_answer_never_replaces_a_newer_one(bench):
    page = bench.page
    old = {
        image: {"mask": "/files/old", "spot": [0.5, 0.5]}
        for image in [tile.get_attribute("data-id") for tile in bench.tiles.all()]
    }
    late = json.dumps({"images": old, "next": None, "hint": "", "error": "from the older request"})
    page.evaluate(
        """(late) => {
          const ask = window.fetch;
          let held = false;
          window.fetch = (address, options) => {
            if (held || !String(address).includes("live-masks")) return ask(address, options);
            held = true;
            return new Promise((resolve) => (window.answerLate = () => resolve(new Response(late + "\\n"))));
          };
        }""",
        late,
    )
    bench.mark(1)
    bench.saved("Saved, revision 1")
    page.wait_for_function("() => window.answerLate")
    bench.mark(0)
    until(page, lambda: all(bench.masks()))
    newest = bench.masks()
    page.evaluate("() => { window.answerLate(); return new Promise((resolve) => requestAnimationFrame(resolve)); }")
    assert bench.masks() == newest
    expect(page.locator(".live .told")).to_have_text("")


def test_the_image_most_in_doubt_is_marked_and_a_key_goes_there(bench):
    page = bench.page
    bench.mark(1)
    marked = page.locator(".live .tile", has=page.locator(".mark:visible"))
    expect(marked).to_have_count(1)
    name = marked.get_attribute("title")
    bench.press("j")
    expect(page.get_by_role("dialog").get_by_text(name)).to_be_visible()
    expect(marked).to_have_attribute("aria-current", "true")
    expect(page.locator(".spot")).to_be_visible()
    plain = bench.overlay(0)
    page.get_by_label("Show doubt").check()
    until(page, lambda: bench.overlay(0) != plain)
    bench.tiles.first.click()
    expect(bench.tiles.first).to_have_attribute("aria-current", "true")
    bench.saved("revision")


def test_what_fails_is_a_sentence_in_the_dialog_and_the_strokes_are_stored(bench):
    page = bench.page
    page.route("**/live-masks?*", lambda route: route.abort())
    bench.mark(1)
    expect(page.locator(".live .told")).to_have_text(re.compile("The connection to the app was lost"))
    bench.saved("Saved, revision 1")
    page.unroute("**/live-masks?*")
    bench.mark(0)
    until(page, lambda: all(bench.masks()))
    expect(page.locator(".live .told")).to_have_text("")
