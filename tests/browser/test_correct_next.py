"""Through the queue of what to correct next, and through an audit, in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from db import corrections, datasets
from db.audit_set import audit_set
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def image_in(page: Page) -> str:
    return page.evaluate("new URL(location.href).searchParams.get('image')")


def finished(app, dataset) -> set[str]:
    with app.installation.database.reading() as session:
        return corrections.finished_images(session, dataset.id)


def test_n_leads_through_the_queue_and_finished_images_leave_it(app, open_tab):
    dataset = add_discs(app.installation, 4, size_px=200)
    run = add_run(app.installation, dataset, "network", label_set_id=add_label_set(app.installation, dataset))
    page = open_tab(f"{app.address}/gallery?run={run.id}", height_px=1200)
    page.get_by_role("button", name="Correct next").click()
    left = page.get_by_text(re.compile(r"3 more to correct"))
    expect(left).to_be_visible()
    expect(page.locator(".place")).to_be_visible()
    expect(page.locator(".saved")).to_have_text("Nothing drawn yet")
    first = image_in(page)
    page.keyboard.press("a")
    expect(page.locator(".saved")).to_have_text("Finished, revision 1")
    expect(page.locator(".place")).to_be_hidden()
    page.keyboard.press("n")
    expect(page.get_by_text(re.compile(r"2 more to correct"))).to_be_visible()
    expect(page.locator(".saved")).to_have_text("Nothing drawn yet")
    assert image_in(page) != first
    assert finished(app, dataset) == {first}
    page.reload()
    expect(page.get_by_text(re.compile(r"2 more to correct"))).to_be_visible()
    expect(page.locator(".place")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator(".saved")).to_have_text("Finished, revision 1")
    assert image_in(page) == first


def test_the_queue_of_a_label_set_stays_open_while_one_goes_through_it(app, open_tab):
    dataset = add_discs(app.installation, 3, size_px=200)
    labels = add_label_set(app.installation, dataset)
    page = open_tab(f"{app.address}/labels?dataset={dataset.id}&labels={labels}", height_px=1200)
    page.get_by_role("button", name="Correct next").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile("2 more to correct"))).to_be_visible()
    expect(dialog.get_by_role("button", name="Finished")).to_be_enabled()
    page.keyboard.press("a")
    expect(dialog.locator(".saved")).to_have_text("Finished, revision 1")
    page.keyboard.press("n")
    expect(dialog.get_by_text(re.compile("1 more to correct"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_an_audit_is_drawn_corrected_and_scored(app, open_tab):
    dataset = add_discs(app.installation, 4, size_px=200)
    add_run(app.installation, dataset, "network", shifts_px=(0, 9))
    page = open_tab(f"{app.address}/datasets?dataset={dataset.id}", height_px=1200)
    page.get_by_role("tab", name="Audit").click()
    number = page.get_by_role("spinbutton", name="Images")
    number.fill("2")
    number.press("Enter")
    expect(number).to_have_value("2")
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.get_by_text("0 of 2 images finished")).to_be_visible()
    page.get_by_role("button", name="Correct the next").click()
    dialog = page.get_by_role("dialog")
    for done in (1, 2):
        expect(dialog.locator(".saved")).to_have_text("Nothing drawn yet")
        expect(dialog.get_by_role("button", name="Finished")).to_be_enabled()
        page.keyboard.press("a")
        expect(dialog.get_by_text(f"{done} of 2", exact=True)).to_be_visible()
        if done == 1:
            page.keyboard.press("n")
    page.keyboard.press("Escape")
    expect(page.get_by_text(re.compile("95 % certain"))).to_be_visible()
    expect(page.get_by_text("2 of 2 images finished")).to_be_visible()
    with app.installation.database.reading() as session:
        drawn = audit_set(session, dataset.id)
        assert drawn.complete and {row.source for row in drawn.finished.values()} == {"accepted"}
        assert len(datasets.images(session, dataset.id)) == 4
