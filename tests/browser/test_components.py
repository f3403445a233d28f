"""The browser halves of the components, in a real browser, judged by the pixels they draw."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from dashboard.ui import palette
from dashboard.ui.mask_grid import SCRIPTS
from dashboard.ui.web import module_text
from db import datasets
from engine.imaging import codec
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.running_app import running

TILES = 6
SIZE_PX = 96


@pytest.fixture(scope="module")
def components(tmp_path_factory):
    folder = tmp_path_factory.mktemp("components")
    with running(folder / "data", script=Path(__file__).parent / "components_app.py") as started:
        add_discs(started.installation, count=TILES, size_px=SIZE_PX)
        yield started


def disc_share(app, number=0):
    with app.installation.database.reading() as session:
        dataset = datasets.listing(session)[0]
        image = datasets.images(session, dataset.id)[number]
    return (codec.decode_png(app.installation.files.read(stored.truth_key(dataset.id, image.id))) == 255).mean()


def drawn(canvas):
    """Return what a canvas shows, uint8 (H, W, 4)."""
    png = base64.b64decode(canvas.evaluate("canvas => canvas.toDataURL('image/png')").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def share_of(picture, code):
    colour = [int(code[start : start + 2], 16) for start in (1, 3, 5)]
    return (np.abs(picture[..., :3].astype(int) - colour).max(axis=2) <= 2).mean()


def first_canvas(page, tile=".tile"):
    page.locator(f"{tile} .frame:not(.loading)").first.wait_for()
    return page.locator(f"{tile} canvas").first


def until(page, condition, tries=100):
    """Look again until `condition()` holds: the page draws in its own time."""
    for _ in range(tries):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("The picture did not become what was expected.")


def choose_mode(page, mode):
    page.get_by_role("combobox", name="Mode").click()
    page.get_by_role("option", name=mode, exact=True).click()


def test_the_grid_fills_a_mask_pixel_for_pixel(components, open_tab):
    page = open_tab(f"{components.address}/?show=grid")
    canvas = first_canvas(page)
    until(page, lambda: share_of(drawn(canvas), palette.MASK) == pytest.approx(disc_share(components), abs=0.01))


@pytest.mark.parametrize(("calls", "cleanups"), [("ABC", "AB"), ("CAB", "AB"), ("BCA", "BA"), ("ACB", "AB"), ("C", "")])
def test_overtaken_calls_of_a_component_leave_the_newest_tiles(components, open_tab, calls, cleanups):
    """While the module is loaded, calls run in any order, and all but the newest are cleaned up."""
    page = open_tab(f"{components.address}/?show=grid")
    shown = page.evaluate(
        """async ([script, calls, cleanups]) => {
            const parent = document.createElement("div");
            parent.innerHTML = '<div class="root"></div>';
            document.body.append(parent);
            const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
            const draw = (await import(address)).default;
            const settings = { mode: "image", threshold: 0.5, opacity: 1, tile_px: 64, aspect: 1, selectable: true };
            const tile = (id) => ({ id, title: id, image: "", subtitle: "", badge: "", tone: "good" });
            const data = (ids) => ({ tiles: ids.map(tile), settings, colours: {}, follows: null });
            const call = (ids) => draw({ data: data(ids), parentElement: parent, setTriggerValue: () => {} });
            const shown = () => [...parent.querySelectorAll(".tile")].map((tile) => tile.dataset.id).join(" ");
            const tiles = { A: ["a"], B: ["a", "b"], C: ["a", "b", "c"] };
            const cleanup = {};
            for (const name of calls) cleanup[name] = call(tiles[name]);
            for (const name of cleanups) cleanup[name]();
            const before = shown();
            parent.remove();
            cleanup.C();
            return [before, shown()];
        }""",
        [module_text(*SCRIPTS), calls, cleanups],
    )
    assert shown == ["a b c", ""]


def test_a_grid_with_a_number_of_columns_has_it_however_narrow(components, open_tab):
    page = open_tab(f"{components.address}/?show=grid")
    in_first_row = page.evaluate(
        """async (script) => {
            const parent = document.createElement("div");
            parent.style.width = "320px";
            parent.innerHTML = '<div class="root"></div>';
            document.body.append(parent);
            const grid = document.createElement("style");
            grid.textContent = ".grid { display: grid }";
            parent.append(grid);
            const draw = (await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })))).default;
            const tile = (id) => ({ id, title: id, image: "", subtitle: "", badge: "", tone: "good" });
            const settings = { mode: "image", threshold: 0.5, opacity: 1, tile_px: 130, columns: 4, aspect: 1 };
            const data = { tiles: [..."abcdef"].map(tile), settings, colours: {}, follows: null };
            const end = draw({ data, parentElement: parent, setTriggerValue: () => {} });
            const tops = [...parent.querySelectorAll(".tile")].map((tile) => tile.getBoundingClientRect().top);
            parent.remove();
            end();
            return tops.filter((top) => top === tops[0]).length;
        }""",
        module_text(*SCRIPTS),
    )
    assert in_first_row == 4


def test_a_change_of_mode_redraws_and_loads_nothing_again(components, open_tab):
    page = open_tab(f"{components.address}/?show=grid")
    canvas = first_canvas(page)
    until(page, lambda: share_of(drawn(canvas), palette.MASK) > 0)
    page.wait_for_load_state("networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/files/" in request.url else None)
    choose_mode(page, "errors")
    until(
        page, lambda: share_of(drawn(canvas), palette.TRUE_POSITIVE) == pytest.approx(disc_share(components), abs=0.01)
    )
    assert share_of(drawn(canvas), palette.FALSE_POSITIVE) == 0
    expect(page.get_by_text("missed (false negative)")).to_be_visible()
    choose_mode(page, "image")
    until(page, lambda: share_of(drawn(canvas), palette.TRUE_POSITIVE) == 0)
    assert [url for url in asked if "0" * 32 not in url] == []


def test_a_tile_is_selected_by_mouse_and_keyboard(components, open_tab):
    page = open_tab(f"{components.address}/?show=grid")
    first_canvas(page)
    page.locator(".tile").nth(1).click()
    expect(page.get_by_text("Chosen: disc 1.png")).to_be_visible()
    page.locator(".tile").nth(2).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Chosen: disc 2.png")).to_be_visible()


def test_a_missing_image_shows_a_message(components, open_tab):
    page = open_tab(f"{components.address}/?show=grid")
    page.locator(".tile").last.scroll_into_view_if_needed()
    expect(page.get_by_text("The image is gone")).to_be_visible()


CLASS_SHADES = [palette.class_colour(1), palette.class_colour(2)]


@pytest.fixture
def two_classes(components):
    """Predict classes for the first image, truth of which is a disc of class 1; return (address, prediction, truth).

    Both are uint8 (H, W). The prediction is class 1 on the left and 2 on the right, below rows of background.
    """
    files, set_id = components.installation.files, "c" * 32
    with components.installation.database.reading() as session:
        dataset = datasets.listing(session)[0]
        image = datasets.images(session, dataset.id)[0]
    likely = np.ones((SIZE_PX, SIZE_PX), np.uint8)
    likely[:, SIZE_PX // 2 :] = 2
    levels = np.full((SIZE_PX, SIZE_PX), 200, np.uint8)
    levels[:20] = 100
    files.write(stored.prediction_key(set_id, image.id), codec.encode_png(levels))
    files.write(stored.prediction_classes_key(set_id, image.id), codec.encode_png(likely))
    truth = codec.decode_png(files.read(stored.truth_key(dataset.id, image.id))) == 255
    address = f"{components.address}/?show=classes&set={set_id}"
    return address, np.where(levels >= 128, likely, 0), truth.astype(np.uint8)


def assert_pixels(page, canvas, codes):
    """Wait until each pixel of the image is drawn in its colour, or none of these colours where the code is empty."""
    shades = {code: [int(code[start : start + 2], 16) for start in (1, 3, 5)] for code in set(codes.ravel()) if code}

    def equal():
        shown = drawn(canvas)
        rows, columns = (((np.arange(SIZE_PX) + 0.5) * side / SIZE_PX).astype(int) for side in shown.shape[:2])
        pixels = shown[np.ix_(rows, columns)][..., :3].astype(int)
        near = {code: np.abs(pixels - shade).max(axis=2) <= 2 for code, shade in shades.items()}
        return all(np.array_equal(found, codes == code) for code, found in near.items())

    until(page, equal)


def test_a_mask_of_two_classes_is_drawn_in_their_colours_pixel_for_pixel(components, open_tab, two_classes):
    address, predicted, truth = two_classes
    page = open_tab(address)
    for canvas in (first_canvas(page), page.locator(".pane canvas")):
        assert_pixels(page, canvas, np.array(["", *CLASS_SHADES])[predicted])
    choose_mode(page, "errors")
    right, wrong, extra, missed = (
        palette.TRUE_POSITIVE,
        palette.WRONG_CLASS,
        palette.FALSE_POSITIVE,
        palette.FALSE_NEGATIVE,
    )
    kinds = np.array([["", missed], [extra, right], [extra, wrong]])[predicted, truth]
    assert {right, wrong, extra} <= set(kinds.ravel())
    for canvas in (first_canvas(page), page.locator(".pane canvas")):
        assert_pixels(page, canvas, kinds)
    expect(page.get_by_text("wrong class")).to_have_count(2)
    page.get_by_role("spinbutton").fill("2")
    page.get_by_role("spinbutton").press("Enter")
    for canvas in (first_canvas(page), page.locator(".pane canvas")):
        assert_pixels(page, canvas, np.where(predicted == 2, extra, ""))
    expect(page.get_by_text("wrong class")).to_have_count(0)
    choose_mode(page, "fill")
    for canvas in (first_canvas(page), page.locator(".pane canvas")):
        assert_pixels(page, canvas, np.where(predicted == 2, CLASS_SHADES[1], ""))


def test_a_pane_can_have_class_numbers_of_its_own(components, open_tab, two_classes):
    address, predicted, _ = two_classes
    page = open_tab(f"{address}&own=1")
    assert_pixels(page, page.locator(".pane canvas"), np.where(predicted == 2, "#AA00CC", ""))
    assert_pixels(page, first_canvas(page), np.array(["", *CLASS_SHADES])[predicted])


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("truth", ["mask", "reference (dashed)"]),
        ("foreground", ["mask", "reference"]),
        ("label", ["mask", "reference (dashed)"]),
    ],
)
def test_the_legend_names_the_line_of_the_reference_as_it_is_drawn(components, open_tab, two_classes, reference, words):
    page = open_tab(f"{two_classes[0]}&reference={reference}")
    first_canvas(page)
    choose_mode(page, "outline")
    grid, panes = (page.locator(".legend").nth(index).locator("span") for index in (0, 1))
    expect(grid).to_have_text(words)
    expect(panes).to_have_text(words if reference != "foreground" else words[1:])


def test_the_line_below_the_panes_names_the_class_of_the_pixel(components, open_tab, two_classes):
    page = open_tab(two_classes[0])
    canvas = page.locator(".pane canvas")
    until(page, lambda: drawn(canvas).any())
    box = canvas.bounding_box()
    for across, down, words in ((0.25, 0.9, "1 egg"), (0.75, 0.9, "2 pan"), (0.75, 0.1, "0 background")):
        canvas.hover(position={"x": across * box["width"], "y": down * box["height"]})
        expect(page.locator('.readout span[data-name="Mask, class"] output')).to_have_text(words)


def test_the_panes_zoom_together_and_reset(components, open_tab):
    page = open_tab(f"{components.address}/?show=viewer")
    canvases = page.locator(".pane canvas")
    until(page, lambda: canvases.count() == 3 and drawn(canvases.nth(0)).any() and drawn(canvases.nth(1)).any())
    whole = [drawn(canvases.nth(index)) for index in (0, 1)]
    assert share_of(whole[1], palette.MASK) == pytest.approx(disc_share(components), abs=0.01)
    canvases.nth(0).hover()
    page.mouse.wheel(0, -600)
    until(page, lambda: not np.array_equal(drawn(canvases.nth(1)), whole[1]))
    # every visible pixel of the image is now a square of one colour
    zoomed = drawn(canvases.nth(0))[..., 0].astype(int)
    assert (np.diff(zoomed, axis=1) == 0).mean() > 0.6
    canvases.nth(1).dblclick()
    until(page, lambda: np.array_equal(drawn(canvases.nth(0)), whole[0]))


def test_the_wipe_uncovers_the_second_image(components, open_tab):
    page = open_tab(f"{components.address}/?show=viewer")
    canvas = page.locator(".pane canvas").nth(2)
    until(page, lambda: drawn(canvas).any())
    handle = page.get_by_role("slider", name="Wipe").last
    handle.press("Home")
    until(page, lambda: share_of(drawn(canvas), palette.MASK) == pytest.approx(disc_share(components), abs=0.01))
    handle.press("End")
    until(page, lambda: share_of(drawn(canvas), palette.MASK) == 0)


def test_files_and_a_zip_are_uploaded_and_others_are_listed(components, open_tab, tmp_path):
    page = open_tab(f"{components.address}/?show=upload")
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("images/a.png", bytes(3_000_000))
    files = [
        {"name": "küche.png", "mimeType": "image/png", "buffer": bytes(1000)},
        {"name": "set.zip", "mimeType": "application/zip", "buffer": target.getvalue()},
        {"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"no image"},
        {"name": "slice.dcm", "mimeType": "application/dicom", "buffer": b"no image"},
    ]
    page.locator("input.pick-files").set_input_files(files)
    expect(page.get_by_text(f"Arrived: 2 files, {1000 + len(target.getvalue())} bytes")).to_be_visible()
    left_out = "2 ignored, not an image, a zip or an annotation file: notes.pdf, slice.dcm."
    expect(page.get_by_text(left_out)).to_be_visible()
    expect(page.get_by_text("slice.dcm: It is a DICOM file, and DICOM is not read; export slices")).to_be_visible()
    page.get_by_role("button", name="Remove set.zip").click()
    expect(page.get_by_text("Arrived: 1 files, 1000 bytes")).to_be_visible()
    page.reload()  # the files stay
    expect(page.get_by_text("Arrived: 1 files, 1000 bytes")).to_be_visible()
    expect(page.get_by_role("button", name="Remove küche.png")).to_be_visible()
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_text("Arrived: nothing")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Arrived: nothing")).to_be_visible()


def test_two_thousand_files_of_a_folder_are_uploaded(components, open_tab, tmp_path):
    folder = tmp_path / "many"
    (folder / "images").mkdir(parents=True)
    small = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(small, "PNG")
    for number in range(2000):
        (folder / "images" / f"{number:04}.png").write_bytes(small.getvalue())
    page = open_tab(f"{components.address}/?show=upload")
    page.locator("input.pick-folder").set_input_files(str(folder))
    expect(page.get_by_text(f"Arrived: 2000 files, {2000 * len(small.getvalue())} bytes")).to_be_visible(
        timeout=120_000
    )
    uploads = [path for path in (components.installation.files.root / "uploads").iterdir() if (path / "many").is_dir()]
    assert len(list((uploads[0] / "many" / "images").iterdir())) == 2000


def test_a_page_follows_what_a_brush_stores_and_the_strokes_stay(components, open_tab):
    page = open_tab(f"{components.address}/?show=brush")
    canvas = page.locator(".pane canvas").first
    page.get_by_text("Nothing drawn yet").wait_for()
    for times, share in enumerate((0.3, 0.6), start=1):
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + 30, box["y"] + share * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + share * box["height"], steps=4)
        page.mouse.up()
        page.get_by_text(f"Stored: {times}").wait_for()
    strokes = drawn(page.locator(".strokes"))[..., 3] > 0
    rows = np.flatnonzero(strokes.any(axis=1)) / strokes.shape[0]
    assert rows.min() < 0.31 and rows.max() > 0.59 and not strokes[:, strokes.shape[1] * 3 // 4 :].any()
