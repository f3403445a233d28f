"""Taking results home in a real browser: a file that a worker prepares, and a report that needs no network."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from db import datasets, runs
from engine.exports import job as export
from engine.imaging import codec
from engine.store import keys as stored
from tests.engine.exports.test_job import submit
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.shared_data import SHARED_DATA
from tests.support.training_job import Context

pytestmark = pytest.mark.shared

WORK_MS = 120_000
NASTY = "<script>alert(1)</script> & sons"


def real_images(installation, dataset):
    """Put real photographs in the place of the drawn ones, where they are beside this checkout."""
    files = sorted((SHARED_DATA / "ecssd" / "images").glob("*.*"))[:6]
    with installation.database.reading() as session:
        rows = datasets.images(session, dataset.id)
    for row, file in zip(rows, files, strict=False):
        image = codec.resize_image(codec.decode_image(file.read_bytes()), (row.height, row.width))
        installation.files.write(stored.image_key(dataset.id, row.id), codec.encode_png(image))


def test_a_file_is_prepared_by_a_worker_and_downloaded(app, open_tab):
    dataset = add_discs(app.installation, 6, size_px=160)
    run = add_run(app.installation, dataset, NASTY, label_set_id=add_label_set(app.installation, dataset))
    page = open_tab(f"{app.address}/gallery?run={run.id}&threshold=0.3", width_px=800)
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as zipped:
        page.get_by_role("link", name="Cut-outs").click()
    assert zipped.value.suggested_filename.endswith(".zip") and Path(zipped.value.path()).stat().st_size > 1000
    page.get_by_role("tab", name="Annotations").click()
    page.get_by_role("button", name="Prepare").first.click()
    ready = page.get_by_role("link", name=re.compile(r"^\S*\s*Download \("))
    expect(ready).to_be_visible(timeout=WORK_MS)  # the list is still open
    with page.expect_download() as prepared:
        ready.click()
    found = json.loads(Path(prepared.value.path()).read_text("utf-8"))
    assert len(found["images"]) == 6 and found["annotations"]
    assert "threshold 0.3" in found["info"]["description"]
    page.goto(f"{app.address}/gallery?run={run.id}&threshold=0.6")
    page.get_by_role("button", name="Download", exact=True).click()
    page.get_by_role("tab", name="Annotations").click()
    page.get_by_text("It was exported at threshold 0.30, and the page is at 0.60.").wait_for()


@pytest.fixture
def report(installation, tmp_path):
    """Return the path of a report, alone in a folder."""
    dataset = add_discs(installation, 6, size_px=200)
    real_images(installation, dataset)
    run = add_run(installation, dataset, NASTY, label_set_id=add_label_set(installation, dataset), epochs=12)
    result = export.run(submit(installation, "run", run.id, "report"), Context(installation))
    with installation.database.reading() as session:
        assert runs.own_prediction_set(session, run) is not None
    target = tmp_path / "alone" / "report.html"
    target.parent.mkdir()
    shutil.copy(installation.files.path(result["key"]), target)
    return target


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_opens_without_a_network_in_both_themes(browser, report, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 800, "height": 900}, offline=True)
    asked, faults = [], []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append("a dialog"))
    page.goto(report.as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == NASTY == page.title()
    assert page.get_by_role("img", name="Loss").is_visible()
    sizes = page.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert sizes and min(sizes) > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    ink, ground = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(ink, ground) > 7
    soft = page.locator(".soft").first.evaluate("one => getComputedStyle(one).color")
    assert contrast(soft, ground) > 4.5
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")
    assert asked == [report.as_uri()] and not faults
    context.close()


def contrast(one, other):
    """Return the contrast ratio of two CSS colours (WCAG 2.2)."""

    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
