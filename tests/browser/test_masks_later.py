"""Masks of another tool, uploaded in a real browser for images that are there, taken by a real worker."""

from __future__ import annotations

import io
import zipfile

from playwright.sync_api import Locator, Page, expect

from db import recipes
from db.models import LabelSet
from tests.support.installation import add_discs, disc, mask_png

WORK_MS = 120_000
ROW_PX = 35
TRIES = 60


def use_first_file_as(page: Page, form: Locator, use: str) -> None:
    """Choose in the table, which is a canvas: a click marks a cell, and Enter opens its choice once it is marked.

    Each try looks anew whether the table is open and in view: the page may be drawn again, and then closes or moves it.
    """
    changes = form.get_by_test_id("stExpander").filter(has_text="Change how files are used").last
    table = changes.get_by_test_id("stDataFrame")
    editor = page.locator("#portal input")
    for _ in range(TRIES):
        if not table.is_visible():
            changes.get_by_text("Change how files are used").click()
            table.wait_for()
        table.scroll_into_view_if_needed()
        box = table.bounding_box()
        if box is None:
            continue
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 1.5 * ROW_PX)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        if editor.count():
            break
    editor.fill(use)
    page.get_by_role("option", name=use).click()


def test_uploaded_masks_become_a_label_set_and_then_truth(app, page: Page):
    dataset = add_discs(app.installation, count=3, truth=False)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for number, name in enumerate(("disc 0_mask.png", "disc 1_mask.png", "another.png")):
            archive.writestr(name, mask_png(disc(seed=number)[1]))
    upload = {"name": "sam.zip", "mimeType": "application/zip", "buffer": zipped.getvalue()}
    for kind, button in (("Mask set", "Add mask set"), ("Truth", "Add truth")):
        page.goto(f"{app.address}/datasets?dataset={dataset.id}")
        page.get_by_role("tab", name="Add images").click()
        page.get_by_text("Add truth or masks").click()
        form = page.get_by_role("tabpanel", name="Add images")
        form.get_by_text(kind, exact=True).click()
        form.locator("input[type=file]:not([webkitdirectory])").last.set_input_files([upload])
        page.get_by_text("2 mask files for 2 of 3 images of the dataset").wait_for()
        if kind == "Truth":  # the file that no name pairs with an image comes first
            use_first_file_as(page, form, "mask of disc 2")
            page.get_by_text("3 mask files for 3 of 3 images of the dataset").wait_for()
        page.get_by_role("button", name=button).click()
        if kind == "Mask set":
            page.get_by_text("2 of 3 masks").wait_for(timeout=WORK_MS)
        else:
            expect(page.get_by_text("3 with truth").first).to_be_visible(timeout=WORK_MS)
    with app.installation.database.reading() as session:
        label_set = session.query(LabelSet).one()
        assert (label_set.name, label_set.params) == ("discs sam", {"source": "sam", "read_as": "0/255"})
        assert recipes.summary(session, label_set.id).dice == 1.0
