"""The detail view of the gallery in a real browser: single pixels, contours, wipe and zoom, judged by what is drawn.

On photographs of nuclei where they lie beside this checkout, else on drawn ones.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from dashboard.ui import palette
from db import datasets, runs
from db.columns import new_id
from engine.imaging import codec
from engine.store import keys as stored
from tests.browser.test_components import drawn, share_of, until
from tests.support.nuclei import nuclei
from tests.support.predicted import add_label_set, add_run

PANES = 6

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def gallery(common_app):
    """The app on an installation with one run, and what a test needs to know of it."""
    common_app.empty()
    dataset = add_pictures(common_app.installation, "nuclei", nuclei())
    label_set_id = add_label_set(common_app.installation, dataset)
    run = add_run(common_app.installation, dataset, "shifted", label_set_id=label_set_id, shifts_px=(2, 6, 9))
    return Scene(common_app, dataset, label_set_id, run)


class Scene:
    """A run in the gallery: addresses of its images, and their pixels as they are stored."""

    def __init__(self, app, dataset, label_set_id, run):
        self.app, self.dataset, self.label_set_id, self.run = app, dataset, label_set_id, run
        with app.installation.database.reading() as session:
            self.images = datasets.images(session, dataset.id)
            self.set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, flips=False)

    def address(self, number=0, **query):
        asked = {"run": self.run.id, "image": self.images[number].id, "sort": "Name", "beside": "true", **query}
        pairs = [(name, value) for name, values in asked.items() for value in np.atleast_1d(values)]
        return f"{self.app.address}/gallery?" + "&".join(f"{name}={value}" for name, value in pairs)

    def pixels(self, number=0):
        """Return (image, prediction, label, truth), uint8 each."""
        image_id = self.images[number].id
        keys = (
            stored.image_key(self.dataset.id, image_id),
            stored.prediction_key(self.set_id, image_id),
            stored.label_key(self.label_set_id, image_id),
            stored.truth_key(self.dataset.id, image_id),
        )
        return tuple(codec.decode_png(self.app.installation.files.read(key)) for key in keys)


def add_pictures(installation, name, pairs):
    """Store pairs of image uint8 (H, W, 3) and truth bool (H, W) as a dataset."""
    with installation.database.writing() as session:
        dataset = datasets.create(session, name)
    rows = []
    for number, (image, mask) in enumerate(pairs):
        row = {"id": new_id(), "name": f"{number}.png", "content_hash": f"{name}{number}", "has_truth": True}
        installation.files.write(stored.image_key(dataset.id, row["id"]), codec.encode_png(image))
        installation.files.write(stored.thumb_key(dataset.id, row["id"]), codec.thumbnail(image))
        installation.files.write(stored.truth_key(dataset.id, row["id"]), codec.encode_png(mask.astype(np.uint8) * 255))
        values = [[0, int((~mask).sum())], [255, int(mask.sum())]]
        rows.append(row | {"width": image.shape[1], "height": image.shape[0], "truth_values": values})
    classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "foreground"}]
    with installation.database.writing() as session:
        entries = [{"name": row["name"], "taken": True, "reason": ""} for row in rows]
        datasets.add_images(session, dataset.id, new_id(), rows, entries)
        return datasets.finish_import(session, dataset.id, classes, [int(value >= 128) for value in range(256)])


def ready(page, panes=PANES):
    """Wait until all panes have been drawn; return their canvases."""
    canvases = page.locator(".pane canvas")
    until(page, lambda: canvases.count() == panes and all(drawn(canvases.nth(i)).any() for i in range(panes)))
    page.wait_for_load_state("networkidle")
    return canvases


def zoom_to(page, percent):
    page.locator("select.zoom").select_option(f"{percent} %")
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")


def zoom_of(page):
    return page.locator("select.zoom").evaluate("select => select.selectedOptions[0].textContent")


def point_at(page, canvas, across, down):
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def reading(page):
    """Return what the line under the panes says, by name."""
    spans = page.locator(".readout span")
    names = spans.locator("b").all_text_contents()
    return dict(zip(names, spans.locator("output").all_text_contents(), strict=True))


def expected(scene, x, y, number=0):
    image, prediction, label, truth = scene.pixels(number)

    def share(value):
        return f"{value / 255:.3f} {'in' if value >= 128 else 'out'}"

    return {
        "x": str(x),
        "y": str(y),
        "RGB": " ".join(map(str, image[y, x])),
        "Probability": share(int(prediction[y, x])),
        "Pseudo-label": share(int(label[y, x])),
        "Truth": "foreground" if truth[y, x] > 127 else "background",
    }


def test_the_line_tells_the_stored_values_of_the_pixel_under_the_mouse(gallery, open_tab):
    page = open_tab(gallery.address())
    canvases = ready(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/files/" in request.url else None)
    rng = np.random.default_rng(0)
    for across, down in rng.uniform(0.02, 0.98, (12, 2)):
        point_at(page, canvases.nth(1), across, down)
        told = reading(page)
        x, y = int(told["x"]), int(told["y"])
        width, height = gallery.images[0].width, gallery.images[0].height
        assert abs(x - across * width) <= 1 and abs(y - down * height) <= 1
        assert told == expected(gallery, x, y)
        expect(page.locator(".cross:not([hidden])")).to_have_count(PANES)
    assert asked == []
    page.mouse.move(5, 5)
    expect(page.locator(".cross:not([hidden])")).to_have_count(0)
    expect(page.locator(".readout")).to_contain_text("Point at a pixel")


def test_the_cross_is_moved_pixel_by_pixel_from_the_keyboard(gallery, open_tab):
    page = open_tab(gallery.address())
    ready(page)
    zoom_to(page, 800)
    page.locator(".panes").focus()
    page.keyboard.press("Shift+ArrowRight")
    first = reading(page)
    x, y = int(first["x"]), int(first["y"])
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(f"Shift+{key}")
    assert reading(page) == expected(gallery, x + 2, y + 1)
    assert f"x {x + 2}, y {y + 1}" in page.locator(".spoken").text_content()
    # so far to the left that the view has to follow
    for _ in range(x + 5):
        page.keyboard.press("Shift+ArrowLeft")
    assert reading(page) == expected(gallery, 0, y + 1)
    cross, pane = page.locator(".cross").first.bounding_box(), page.locator(".frame").first.bounding_box()
    assert pane["x"] <= cross["x"] + 4 <= pane["x"] + pane["width"]


def test_a_click_keeps_the_cross_and_another_lets_it_go(gallery, open_tab):
    page = open_tab(gallery.address())
    canvases = ready(page)
    canvases.nth(1).click(position={"x": 40, "y": 40})
    kept = reading(page)
    point_at(page, canvases.nth(0), 0.8, 0.8)
    assert reading(page) == kept
    canvases.nth(1).click(position={"x": 90, "y": 60})
    point_at(page, canvases.nth(0), 0.8, 0.8)
    assert reading(page) != kept


def test_at_eight_hundred_percent_a_pixel_is_a_square_of_its_own_colour(gallery, open_tab):
    page = open_tab(gallery.address())
    canvases = ready(page)
    zoom_to(page, 800)
    shown, image = drawn(canvases.nth(0))[..., :3], gallery.pixels()[0]
    seen, inner = [], []
    for length, stored_length in zip(shown.shape[:2], image.shape[:2], strict=True):
        start = length / 2 - 8 * stored_length / 2  # of the image, whose middle is the pane's
        place = (np.arange(length) + 0.5 - start) / 8
        seen.append(np.floor(place).astype(int))
        inner.append(np.flatnonzero(place % 1 != 0))  # on a border either neighbour is right
    assert (shown[np.ix_(*inner)] == image[np.ix_(*seen)][np.ix_(*inner)]).all()
    zoom_to(page, 1600)
    assert zoom_of(page) == "1600 %"


def test_all_panes_move_together_by_mouse_and_by_keyboard(gallery, open_tab):
    page = open_tab(gallery.address(contours="true", panes=["Image", "Truth", "Prediction"]))
    canvases = ready(page, 3)

    def same():
        """Where contours are thin, panes that show the same place differ in few pixels."""
        first, *others = (drawn(canvases.nth(i)) for i in range(3))
        return all((np.any(other != first, axis=2)).mean() < 0.12 for other in others)

    zoom_to(page, 400)
    until(page, same)
    before = drawn(canvases.nth(2))
    box = canvases.nth(0).bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 80, steps=4)
    page.mouse.up()
    until(page, lambda: not np.array_equal(drawn(canvases.nth(2)), before) and same())
    before = drawn(canvases.nth(1))
    page.locator(".panes").focus()
    page.keyboard.press("ArrowLeft")
    until(page, lambda: not np.array_equal(drawn(canvases.nth(1)), before) and same())
    page.keyboard.press("+")
    until(page, lambda: zoom_of(page) == "500 %")
    page.keyboard.press("0")
    until(page, lambda: zoom_of(page) not in ("400 %", "500 %"))


def of_colour(picture, code):
    colour = [int(code[start : start + 2], 16) for start in (1, 3, 5)]
    return (picture[..., :3] == colour).all(axis=2)


@pytest.mark.parametrize(("pane", "code"), [("Prediction", palette.MASK), ("Truth", palette.FALSE_NEGATIVE)])
def test_a_contour_is_one_pixel_of_the_screen_wide_at_any_zoom(gallery, open_tab, pane, code):
    page = open_tab(gallery.address(contours="true", panes=[pane]))
    canvases = ready(page, 1)
    for percent in (0, 400, 1600):
        if percent:
            zoom_to(page, percent)
        line = of_colour(drawn(canvases.first), code)
        blocks = line[1:, 1:] & line[:-1, 1:] & line[1:, :-1] & line[:-1, :-1]
        assert blocks.sum() <= 0.002 * line.sum()
        if percent == 0:
            assert line.sum() > 100


def test_any_two_layers_are_wiped_against_each_other(gallery, open_tab):
    page = open_tab(gallery.address(wipe="true", left="Image", right="Prediction", opacity=1))
    canvases = ready(page, 1)
    handle = page.get_by_role("slider", name="Wipe between Image and Prediction")
    handle.press("Home")
    covered = (gallery.pixels()[1] >= 128).mean()
    until(page, lambda: share_of(drawn(canvases.first), palette.MASK) == pytest.approx(covered, abs=0.01))
    expect(page.locator(".names .left")).to_have_text("Image")
    expect(page.locator(".names .right")).to_have_text("Prediction")
    right = page.get_by_role("combobox", name=re.compile("Right"))
    right.scroll_into_view_if_needed()
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
    )  # scrolling closes lists
    right.fill("Truth")
    right.press("Enter")
    page.get_by_role("slider", name="Wipe between Image and Truth").press("Home")
    truth = (gallery.pixels()[3] >= 128).mean()
    until(page, lambda: share_of(drawn(canvases.first), palette.FALSE_NEGATIVE) == pytest.approx(truth, abs=0.01))
    assert "right=Truth" in page.url
    # the handle follows the mouse
    handle = page.get_by_role("slider", name="Wipe between Image and Truth")
    page.locator(".names .left").scroll_into_view_if_needed()
    frame = page.locator(".frame").bounding_box()
    page.mouse.move(frame["x"] + 5, frame["y"] + 30)  # at 0 half of the handle lies outside
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.75 * frame["width"], frame["y"] + 30, steps=3)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", "75")


def test_the_next_image_keeps_the_place_if_it_is_as_large(gallery, open_tab):
    page = open_tab(gallery.address())
    canvases = ready(page)
    zoom_to(page, 400)
    page.locator(".panes").focus()
    page.keyboard.press("Shift+ArrowDown")
    before, told = drawn(canvases.first), reading(page)
    page.get_by_role("button", name=re.compile("^Next")).click()
    page.get_by_text("2 of 3").wait_for()
    until(page, lambda: not np.array_equal(drawn(canvases.first), before))
    assert zoom_of(page) == "400 %"
    x, y = int(told["x"]), int(told["y"])
    until(page, lambda: reading(page) == expected(gallery, x, y, 1))
    page.get_by_role("button", name=re.compile("^Next")).click()
    page.get_by_text("3 of 3").wait_for()
    until(page, lambda: zoom_of(page) != "400 %")
    expect(page.locator(".cross:not([hidden])")).to_have_count(0)


def test_threshold_and_panes_redraw_without_loading_and_the_choice_of_panes_stays(gallery, open_tab):
    page = open_tab(gallery.address(panes=["Image", "Prediction"]))
    canvases = ready(page, 2)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/files/" in request.url else None)
    whole = drawn(canvases.nth(1))
    page.get_by_role("slider", name="Threshold", exact=True).press("Home")  # everything is foreground
    until(page, lambda: not np.array_equal(drawn(canvases.nth(1)), whole))
    page.get_by_role("button", name="Probability", exact=True).click()
    until(page, lambda: canvases.count() == 3)
    assert [url for url in asked if gallery.images[0].id in url] == []
    assert page.url.count("panes=") == 3
    page.get_by_role("button", name="Back to the gallery").click()
    page.locator(".tile").first.wait_for()
    page.locator(".tile").first.click()
    until(page, lambda: canvases.count() == 3)


def test_a_large_image_comes_small_first_and_whole_when_zoomed_in(gallery, open_tab):
    side = 4100
    slope = np.linspace(0, 255, side).astype(np.uint8)
    image = np.broadcast_to(slope[:, None, None], (side, side, 3))
    mask = np.broadcast_to(slope[None] > 100, (side, side))
    dataset = add_pictures(gallery.app.installation, "large", [(np.ascontiguousarray(image), mask)])
    run = add_run(gallery.app.installation, dataset, "large", shifts_px=(700,))
    with gallery.app.installation.database.reading() as session:
        image_id = datasets.images(session, dataset.id)[0].id
    asked = []
    page = open_tab("about:blank")
    page.on("request", lambda request: asked.append(request.url) if f"{image_id}" in request.url else None)
    page.goto(f"{gallery.app.address}/gallery?run={run.id}&image={image_id}&panes=Image&panes=Prediction&beside=true")
    canvases = ready(page, 2)
    assert asked and all("size=768" in url for url in asked if "/files/" in url)
    point_at(page, canvases.first, 0.5, 0.5)
    assert reading(page)["RGB"].startswith("≈")
    zoom_to(page, 200)
    until(page, lambda: any("/images/" in url and "size" not in url for url in asked if "/files/" in url))
    until(page, lambda: not reading(page).get("RGB", "≈").startswith("≈"))
    told = reading(page)
    assert told["RGB"].split()[0] == str(image[int(told["y"]), int(told["x"]), 0])


def test_the_panes_stand_in_two_columns_on_a_narrow_screen_and_more_on_a_wide_one(gallery, open_tab):
    for width_px, columns in ((800, 2), (1440, 3)):
        page = open_tab(gallery.address(), width_px=width_px)
        ready(page)
        lefts = page.locator(".frame").evaluate_all(
            "frames => frames.map(f => Math.round(f.getBoundingClientRect().x))"
        )
        assert len(set(lefts)) == columns
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
