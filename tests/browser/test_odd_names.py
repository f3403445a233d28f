"""Names that are programs, in a real browser: they are text on every page that shows them, and nothing runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from db import datasets
from db.models import Dataset, LabelSet, PredictionSet, Run
from tests.assets.bad_names import HTML
from tests.support.photographs import add_photographs
from tests.support.predicted import add_label_set, add_run

pytestmark = pytest.mark.shared

NAMES = (
    HTML,
    "<script>window.ran=1</script>",
    '" onmouseover="window.ran=1" x="',
    "[a](javascript:window.ran=1) **b** $x^2$",
    "</textarea></title><svg onload=window.ran=1>",
    "&lt;b&gt; :red[no] :material/delete:",
    "\u200fשלום\u200f.png",
    "1. no list",
)


@pytest.fixture
def installation(app):
    """An installation in which everything that can have a name has one that tries something."""
    installation = app.installation
    dataset = add_photographs(installation)
    label_set = add_label_set(installation, dataset, f"labels {HTML}")
    other = add_run(installation, dataset, f"other {NAMES[1]}", label_set_id=label_set)
    add_run(installation, dataset, f"run {HTML}", label_set_id=label_set)
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).name = f"set {HTML}"
        session.get_one(Run, other.id).note = f"note {HTML}"
        session.get_one(Run, other.id).tags = [f"tag {HTML}"]
        for number, image in enumerate(datasets.images(session, dataset.id)):
            session.merge(image).name = f"{number} {NAMES[number % len(NAMES)]}"
        entries = [{"name": f"bad {name}", "taken": False, "reason": f"It is {name}."} for name in NAMES]
        datasets.add_images(session, dataset.id, "0" * 32, [], entries)
    return installation


def nothing_ran(page: Page) -> None:
    page.wait_for_timeout(300)  # for what would run a little later
    assert page.evaluate("window.ran") is None
    assert page.locator("img[src='x'], svg[onload], script:text('window.ran')").count() == 0
    assert page.locator("a[href^='javascript:']").count() == 0


def test_names_are_text_on_every_page(app, installation, open_tab):
    with installation.database.reading() as session:
        dataset = session.query(Dataset).one()
        runs = session.query(Run).order_by(Run.name).all()
        set_id = session.query(PredictionSet).first().id
        label_set = session.query(LabelSet).one()
    shown = {
        "": ["set <img src=x"],
        "datasets": ["set <img src=x"],
        f"datasets?dataset={dataset.id}": [
            "set <img src=x",
            "[a](javascript:window.ran=1) **b** $x^2$",
            "&lt;b&gt; :red",
        ],
        f"labels?dataset={dataset.id}&labels={label_set.id}": [],
        f"train?dataset={dataset.id}": [],
        f"runs?run={runs[0].id}": ["other <script>", "note <img src=x"],
        f"runs?run={runs[1].id}": ["run <img src=x"],
        f"compare?runs={runs[0].id},{runs[1].id}": ["other <script>"],
        f"gallery?run={runs[0].id}": [NAMES[3]],
        f"predict?set={set_id}": [],
    }
    for address, texts in shown.items():
        page = open_tab(f"{app.address}/{address}", width_px=1440)
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        for text in texts:
            expect(page.get_by_text(text).first).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        # Streamlit's own CSV of a table would hold names that a spreadsheet takes for formulas
        expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
        nothing_ran(page)
        page.close()


def test_names_in_a_report_and_in_the_closer_look_are_text(app, installation, open_tab):
    with installation.database.reading() as session:
        dataset = session.query(Dataset).one()
    page = open_tab(f"{app.address}/datasets?dataset={dataset.id}", width_px=1440)
    page.locator(".tile").first.click()
    expect(page.get_by_role("dialog").get_by_text(HTML)).to_be_visible()
    nothing_ran(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Files").click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    page.get_by_test_id("stDataFrame").first.hover()
    nothing_ran(page)
