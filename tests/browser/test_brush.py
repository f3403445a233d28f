"""The brush in a real browser: strokes of a real mouse, judged by the pixels that are stored."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from db import corrections, datasets, runs
from db.models import Correction
from engine.datasets import corrections as stored_corrections
from engine.imaging import codec
from engine.imaging.corrections import LEFT_OUT, UNTOUCHED
from engine.store import keys as stored
from tests.browser.test_components import until
from tests.browser.test_label_bench import until_judged
from tests.support.installation import add_dataset, disc
from tests.support.predicted import add_label_set, add_run, truth_of
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes

SIDE = 400


class Scene:
    """Three images with the masks of a run, opened in the gallery to be corrected."""

    def __init__(self, app, open_tab, dataset, run):
        self.app, self.open_tab, self.dataset, self.run = app, open_tab, dataset, run
        with app.installation.database.reading() as session:
            self.images = datasets.images(session, dataset.id)

    def open(self, number: int = 0) -> Editor:
        query = f"run={self.run.id}&image={self.images[number].id}&sort=Name&correct=true"
        return Editor(self.open_tab(f"{self.app.address}/gallery?{query}", height_px=1400), self.images[number].width)

    def rows(self, number: int = 0) -> list[Correction]:
        with self.app.installation.database.reading() as session:
            query = select(Correction).where(Correction.image_id == self.images[number].id)
            return list(session.scalars(query.order_by(Correction.revision)))

    def stored(self, number: int = 0) -> np.ndarray:
        """Return what the newest correction of an image shows."""
        with self.app.installation.database.reading() as session:
            newest = corrections.current(session, self.dataset.id)[self.images[number].id]
        return stored_corrections.read(self.app.installation.files, newest)


class Editor:
    """A tab with an image to draw on; places are in pixels of the image, at the middle of the pixel."""

    def __init__(self, page: Page, side: int):
        self.page, self.side = page, side
        self.saved("Nothing drawn yet|revision")

    def saved(self, words: str) -> None:
        expect(self.page.locator(".saved")).to_have_text(re.compile(words))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where on the screen the middle of a pixel is, while the whole image is shown."""
        box = self.page.locator(".pane canvas").first.bounding_box()
        scale = box["width"] / self.side
        return box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale

    def stroke(self, *places: tuple[float, float], button: str = "left") -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*places[0]))
        mouse.down(button=button)
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=5)
        mouse.up(button=button)

    def size(self, size_px: int) -> None:
        """Choose the size of the brush with the keys that people use."""
        shown = self.page.locator(".size output")
        for _ in range(60):
            now = int(shown.text_content().split()[0])
            if now == size_px:
                return
            self.page.keyboard.press("]" if now < size_px else "[")
        raise AssertionError(f"The brush has {shown.text_content()}, not {size_px} px.")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def tall(value: int, *where: slice, side: int = SIDE) -> np.ndarray:
    expected = np.full((side, side), UNTOUCHED, np.uint8)
    expected[where] = value
    return expected


def rows_of(values: np.ndarray) -> list[int]:
    """Return the rows in which class 1 was drawn."""
    return np.flatnonzero((values == 1).any(axis=1)).tolist()


@pytest.fixture
def scene(app, open_tab):
    installation = app.installation
    pairs = [disc(SIDE, 90, seed=number) for number in range(3)]
    dataset = add_dataset(installation, "discs", pairs)
    label_set_id = add_label_set(installation, dataset, shift_px=20)
    return Scene(app, open_tab, dataset, add_run(installation, dataset, "run", label_set_id=label_set_id))


def test_a_stroke_is_stored_at_its_own_pixels(scene):
    editor = scene.open()
    expect(editor.page.locator(".readout")).to_have_text("Point at a pixel to read it.")
    editor.size(1)
    editor.stroke((50, 30), (120, 30))
    editor.saved("Saved, revision 1")
    assert np.array_equal(scene.stored(), tall(1, slice(30, 31), slice(50, 121)))
    [row] = scene.rows()
    assert (row.source, row.finished, row.mask_of) == ("drawn", False, scene.run.id)


def test_keys_choose_class_background_and_ignore_and_the_right_button_erases(scene):
    editor = scene.open()
    editor.size(1)
    for key, row in (("1", 20), ("0", 40), ("i", 60), ("e", 40), ("b", 80)):
        editor.press(key)
        editor.stroke((100, row), (150 if key != "e" else 120, row))
    editor.stroke((100, 80), (110, 80), button="right")
    expected = tall(1, slice(20, 21), slice(100, 151))
    expected[40, 121:151] = 0
    expected[60, 100:151] = LEFT_OUT
    expected[80, 111:151] = 0  # the class before "erase"
    editor.press("s")
    until(editor.page, lambda: scene.rows() and np.array_equal(scene.stored(), expected))


def test_a_class_is_chosen_by_its_number(app, open_tab):
    dataset = add_eggs_and_pans(app.installation, 3)
    scene = Scene(app, open_tab, dataset, add_run_of_classes(app.installation, dataset))
    editor = scene.open()
    assert editor.page.locator(".values button").all_text_contents() == ["egg", "pan", "background", "ignore", "erase"]
    editor.size(1)
    for key, row in (("2", 10), ("1", 20), ("7", 30)):
        editor.press(key)
        editor.stroke((20, row), (40, row))
    # There is no class 7, so that 1 stayed chosen
    until(editor.page, lambda: scene.rows() and (scene.stored()[30, 20:41] == 1).all())
    strokes = scene.stored()
    assert strokes[10, 20] == 2 and strokes[20, 40] == 1
    editor.press("a")
    editor.saved("Finished")
    with app.installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, scene.run).id
    keys = (key(set_id, scene.images[0].id) for key in (stored.prediction_key, stored.prediction_classes_key))
    levels, likely = (codec.decode_png(app.installation.files.read(key)) for key in keys)
    mask = np.where(levels >= 128, likely, 0)
    assert np.array_equal(scene.stored(), np.where(strokes == UNTOUCHED, mask, strokes))


def test_zoomed_in_a_stroke_is_drawn_where_the_mouse_is(scene):
    editor = scene.open()
    page = editor.page
    editor.size(3)
    page.locator("select.zoom").select_option("800 %")
    canvas = page.locator(".pane canvas").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 120)
    told = dict(zip(*(page.locator(f".readout {part}").all_text_contents() for part in ("b", "output")), strict=True))
    x, y = int(told["x"]), int(told["y"])
    page.mouse.down()
    page.mouse.up()
    editor.saved("Saved, revision 1")
    expected = tall(1, slice(y - 1, y + 2), slice(x - 1, x + 2))
    assert np.array_equal(scene.stored() == 1, expected == 1)
    # the wheel zooms, with Alt it changes the size; held Space pans
    page.keyboard.down("Alt")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Alt")
    expect(page.locator(".size output")).to_have_text("4 px")
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 160, steps=3)
    page.mouse.up()
    page.keyboard.up("Space")
    page.mouse.move(box["x"] + 140, box["y"] + 160)
    assert page.locator(".readout output").first.text_content() == str(x)
    editor.saved("Saved, revision 1")


def test_undo_and_redo_go_stroke_by_stroke(scene):
    editor = scene.open()
    editor.size(1)
    editor.stroke((50, 30), (120, 30))
    editor.stroke((50, 90), (120, 90))
    editor.press("z")
    until(editor.page, lambda: scene.rows() and np.array_equal(scene.stored(), tall(1, slice(30, 31), slice(50, 121))))
    editor.press("z")
    until(editor.page, lambda: scene.rows()[-1].pixels == [])
    editor.press("Shift+Z", "Control+Shift+Z")
    until(editor.page, lambda: rows_of(scene.stored()) == [30, 90])
    expect(editor.page.get_by_role("button", name="Redo")).to_be_disabled()


def test_an_outline_is_filled_and_box_and_polygon_cover_their_inside(scene):
    editor = scene.open()
    editor.size(3)
    editor.stroke((20, 20), (60, 20), (60, 60), (20, 60), (20, 20))
    editor.press("f")
    editor.stroke((40, 40))
    editor.press("x", "i")
    editor.stroke((100, 20), (129, 39))
    editor.press("l", "0")
    for corner in ((200, 20), (240, 20), (240, 60), (200, 60), (200, 20)):
        editor.stroke(corner)
    editor.press("s")
    until(editor.page, lambda: scene.rows() and scene.stored()[40, 220] == 0)
    values = scene.stored()
    assert (values[19:62, 19:62] == 1).all() and (values == 1).sum() <= 43**2
    assert (values[21:39, 101:129] == LEFT_OUT).all() and (values == LEFT_OUT).sum() <= 20 * 30
    assert (values[21:60, 201:240] == 0).all() and (values == 0).sum() <= 41**2


def test_a_brush_that_stops_at_edges_leaves_out_what_looks_different(scene):
    truth = truth_of(scene.app.installation, scene.dataset, scene.images[0].id)
    rows, columns = np.nonzero(truth)
    x, y = int(columns.max()) - 15, int((rows.min() + rows.max()) / 2)  # near the right edge of the disc
    editor = scene.open()
    editor.size(56)
    editor.press("w")
    editor.stroke((x, y - 10), (x, y + 10))
    editor.saved("Saved, revision 1")
    painted = scene.stored() == 1
    assert painted[y, x] and (painted & ~truth).sum() < 0.01 * painted.sum()
    reached = np.hypot(*(np.mgrid[:SIDE, :SIDE] - np.array([y, x])[:, None, None])) < 26
    assert (painted & truth & reached).sum() > 0.97 * (truth & reached).sum()


def test_finished_makes_everything_shown_certain_and_unchanged_masks_are_accepted(scene):
    truth = truth_of(scene.app.installation, scene.dataset, scene.images[0].id)
    editor = scene.open()
    editor.press("a")
    editor.saved("Finished, revision 1")
    assert np.array_equal(scene.stored(), truth.astype(np.uint8))  # the run's mask of the first image is the truth
    assert [(row.source, row.finished, row.mask_dice) for row in scene.rows()] == [("accepted", True, 1.0)]
    editor.size(5)
    editor.stroke((2, 2), (60, 2))
    editor.saved("Finished, revision 2")
    assert scene.rows()[1].source == "drawn" and (scene.stored()[0:5, 2:60] == 1).all()
    assert UNTOUCHED not in scene.stored()


def test_next_stores_first_and_the_strokes_are_there_again_after_a_reload(scene):
    editor = scene.open()
    editor.size(1)
    editor.stroke((50, 30), (120, 30))
    editor.press("n")
    editor.page.get_by_text("2 of 3").wait_for()
    editor.saved("Nothing drawn yet")
    editor.stroke((50, 40), (70, 40))
    editor.saved("Saved, revision 1")
    assert np.array_equal(scene.stored(0), tall(1, slice(30, 31), slice(50, 121)))
    assert np.array_equal(scene.stored(1), tall(1, slice(40, 41), slice(50, 71)))
    editor.press("p")
    editor.page.get_by_text("1 of 3").wait_for()
    editor.saved("Saved, revision 1")
    editor.page.reload()
    editor.saved("Saved, revision 1")
    strokes = editor.page.locator(".strokes")
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    until(editor.page, lambda: strokes.evaluate(drawn))


def test_two_people_on_one_image_lose_nothing(scene):
    first, second = scene.open(), scene.open()
    for editor, row in ((first, 30), (second, 60)):
        editor.size(1)
        editor.stroke((50, row), (120, row))
        editor.saved("Saved, revision 1" if editor is first else "was corrected meanwhile by local")
    assert np.array_equal(scene.stored(), tall(1, slice(30, 31), slice(50, 121)))
    second.page.get_by_role("button", name="Load the newer one").click()
    second.saved("Saved, revision 2")
    assert rows_of(scene.stored()) == [30, 60]
    second.press("z")  # without the own stroke
    second.saved("Saved, revision 3")
    assert rows_of(scene.stored()) == [30]


def test_the_newest_correction_is_withdrawn_after_a_second_look(scene):
    editor = scene.open()
    editor.size(1)
    for revision, row in enumerate((30, 60), start=1):
        editor.stroke((50, row), (120, row))
        editor.saved(f"Saved, revision {revision}")
    editor.page.locator(".more summary").click()
    editor.page.get_by_role("button", name="Withdraw", exact=True).click()
    editor.page.get_by_role("button", name="Keep it").click()
    editor.page.get_by_role("button", name="Withdraw", exact=True).click()
    editor.page.get_by_role("button", name="Withdraw revision 2").click()
    editor.saved("Saved, revision 3")
    assert rows_of(scene.stored()) == [30]
    expect(editor.page.locator(".history")).to_contain_text("Revision 3 withdrawn by local")
    editor.press("z")  # a withdrawn correction is one step of undo away
    editor.saved("Saved, revision 4")
    assert rows_of(scene.stored()) == [30, 60]


def test_strokes_that_cannot_be_stored_stay_and_the_page_warns(scene):
    editor = scene.open()
    page = editor.page
    page.route("**/corrections?*", lambda route: route.abort())
    editor.size(1)
    editor.stroke((50, 30), (120, 30))
    editor.saved("Not saved: The connection to the app was lost.")
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.evaluate("() => void setTimeout(() => location.reload())")
    until(page, lambda: asked == ["beforeunload"])
    editor.press("n")
    page.get_by_text("2 of 3").wait_for()
    editor.press("p")
    page.get_by_text("1 of 3").wait_for()
    editor.saved("Not saved")
    page.unroute("**/corrections?*")
    editor.press("s")
    editor.saved("Saved, revision 1")
    assert np.array_equal(scene.stored(), tall(1, slice(30, 31), slice(50, 121)))


def test_the_masks_of_a_label_set_are_corrected_one_after_the_other(scene):
    installation = scene.app.installation
    label_set_id = add_label_set(installation, scene.dataset, "others", shift_px=0)
    page = scene.open_tab(f"{scene.app.address}/labels?dataset={scene.dataset.id}&labels={label_set_id}")
    page.locator(f".tile[data-id='{scene.images[0].id}']").last.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Correct", exact=True).click()
    editor = Editor(page, SIDE)
    editor.size(1)
    editor.stroke((50, 30), (120, 30))
    editor.press("n")
    dialog.get_by_text(scene.images[1].name).wait_for()
    editor.saved("Nothing drawn yet")
    editor.press("a")
    editor.saved("Finished, revision 1")
    assert np.array_equal(scene.stored(0), tall(1, slice(30, 31), slice(50, 121)))
    assert (scene.stored(1) == truth_of(installation, scene.dataset, scene.images[1].id)).all()
    assert [row.mask_of for row in scene.rows(0) + scene.rows(1)] == [label_set_id] * 2
    editor.press("Escape")
    expect(dialog).to_have_count(0)


def test_strokes_are_drawn_on_the_test_images_of_the_bench(scene):
    page = scene.open_tab(f"{scene.app.address}/labels?dataset={scene.dataset.id}&a=threshold")
    until_judged(page, 1)
    page.locator(".tile").first.click()
    page.get_by_role("dialog").get_by_text("Correct", exact=True).click()
    editor = Editor(page, SIDE)
    expect(page.get_by_role("button", name="Finished")).to_be_hidden()
    editor.size(1)
    editor.stroke((50, 30), (120, 30))
    editor.press("n")
    page.get_by_role("dialog").get_by_text(scene.images[1].name).wait_for()
    editor.saved("Nothing drawn yet")
    until(page, lambda: scene.rows() and np.array_equal(scene.stored(), tall(1, slice(30, 31), slice(50, 121))))
