"""Masks of another tool, uploaded in a real browser for images that are there, taken by a real worker."""

from __future__ import annotations

import io
import zipfile

from playwright.sync_api import Page, expect

from db import recipes
from db.models import LabelSet
from tests.support.installation import add_discs, disc, mask_png

WORK_MS = 120_000


def test_uploaded_masks_become_a_label_set_and_then_truth(app, page: Page):
    dataset = add_discs(app.installation, count=3, truth=False)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for number in range(2):
            archive.writestr(f"disc {number}_mask.png", mask_png(disc(seed=number)[1]))
    upload = {"name": "sam.zip", "mimeType": "application/zip", "buffer": zipped.getvalue()}
    for kind, button in (("Label set", "Add label set"), ("Truth", "Add truth")):
        page.goto(f"{app.address}/datasets?dataset={dataset.id}")
        page.get_by_role("tab", name="Add images").click()
        page.get_by_text("Add truth or masks").click()
        form = page.get_by_role("tabpanel", name="Add images")
        form.get_by_text(kind, exact=True).click()
        form.locator("input[type=file]:not([webkitdirectory])").last.set_input_files([upload])
        page.get_by_text("2 mask files for 2 of 3 images of the dataset").wait_for()
        page.get_by_role("button", name=button).click()
        if kind == "Label set":
            page.get_by_text("2 of 3 masks").wait_for(timeout=WORK_MS)
        else:
            expect(page.get_by_text("2 with truth").first).to_be_visible(timeout=WORK_MS)
    with app.installation.database.reading() as session:
        label_set = session.query(LabelSet).one()
        assert (label_set.name, label_set.params) == ("discs sam", {"source": "sam", "read_as": "0/255"})
        assert recipes.summary(session, label_set.id).dice == 1.0
