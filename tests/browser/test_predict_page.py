"""The Predict page in a real browser, with a real worker that keeps networks in memory, on real photographs."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import TimeoutError, expect

from db import datasets, warm
from db.columns import utc_now
from db.models import Job, JobKind, PredictionSet
from engine.imaging import codec
from engine.store import keys as stored
from tests.support.installation import add_discs, disc
from tests.support.network import add_network
from tests.support.running_app import running
from tests.support.shared_data import SHARED_DATA

pytestmark = pytest.mark.shared

WORK_MS = 120_000


@pytest.fixture(scope="module")
def app_with_warm_worker(tmp_path_factory):
    with running(tmp_path_factory.mktemp("warm") / "data", WARM_WORKER_S="120") as started:
        yield started


@pytest.fixture
def app(app_with_warm_worker):
    """The app with a warm worker and two networks: one marks fewer pixels as bright than the other."""
    app_with_warm_worker.empty()
    installation = app_with_warm_worker.installation
    dataset = add_discs(installation, 2, name="trained on")
    add_network(installation, dataset, "only light", 170)
    add_network(installation, dataset, "also grey", 110)
    return app_with_warm_worker


@pytest.fixture
def photographs(tmp_path):
    """Four photographs where the real images are beside this checkout, else drawn ones; and a broken one."""
    found = sorted((SHARED_DATA / "ecssd" / "images").glob("*.jpg"))[:4]
    for number in range(0 if found else 4):
        path = tmp_path / f"drawn {number}.png"
        path.write_bytes(codec.encode_png(disc(200, 60, seed=number)[0]))
        found.append(path)
    broken = tmp_path / "broken photo.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    return [*found, broken]


def ready(app):
    with app.installation.database.reading() as session:
        return warm.readiness(session, utc_now(), 60)


def wait_until_ready(app):
    give_up = time.monotonic() + WORK_MS / 1000
    while not (ready(app).run_ids and ready(app).takes_predictions and not ready(app).requested):
        assert time.monotonic() < give_up, ready(app)
        time.sleep(0.1)
    return ready(app).worker


def predictions(app):
    with app.installation.database.reading() as session:
        jobs = session.query(Job).filter_by(kind=JobKind.PREDICT).order_by(Job.created_at).all()
        return jobs, session.query(PredictionSet).all()


def choose_rival(page, name):
    """Choose a network to compare with; a rerun of the page may close the list before anything is chosen."""
    chosen = page.get_by_test_id("stMultiSelect").get_by_text(re.compile(name))
    for _ in range(20):
        page.get_by_role("combobox", name="Compare with").last.click()
        with suppress(TimeoutError):
            page.get_by_role("option", name=re.compile(name)).click(timeout=5000)
            break
    expect(chosen.first).to_be_visible()
    page.keyboard.press("Escape")


def drop(page, files):
    page.locator("input.pick-files").set_input_files(files)
    predict(page)


def predict(page):
    page.get_by_role("button", name=re.compile("^Predict ")).click()
    expect(page.locator(".tile")).to_have_count(4, timeout=WORK_MS)
    page.locator(".tile .frame:not(.loading)").first.wait_for(timeout=WORK_MS)


def query(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_photographs_are_predicted_by_a_worker_that_stays_and_compared(app, open_tab, photographs):
    page = open_tab(f"{app.address}/predict", width_px=1440, height_px=1000)
    worker = wait_until_ready(app)
    page.locator("input.pick-files").set_input_files(photographs)
    page.get_by_text("Name and options").click()
    choose_rival(page, "only light")
    predict(page)
    expect(page.get_by_text("broken photo.jpg").first).to_be_visible()
    expect(page.get_by_text(re.compile("Dice between the two networks' masks")).first).to_be_visible(timeout=WORK_MS)
    (job,), sets = predictions(app)
    assert job.worker == worker
    assert len(sets) == 2

    light = next(found for found in sets if found.run_id in job.payload["also"])
    with app.installation.database.reading() as session:
        images = datasets.images(session, light.dataset_id)
    for image in images:
        grey = codec.decode_png(app.installation.files.read(stored.image_key(light.dataset_id, image.id))).mean(axis=2)
        levels = codec.decode_png(app.installation.files.read(stored.prediction_key(light.id, image.id)))
        mask = levels > 127
        assert not mask.any() or grey[mask].mean() > grey[~mask].mean() + 20

    page.get_by_text("Both networks", exact=True).click()
    expect(page.get_by_text("only only light")).to_be_visible()
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Back to the masks").wait_for()
    first = query(page)["image"]
    page.get_by_role("button", name=re.compile("^Next")).click()
    expect(page.get_by_text("2 of 4")).to_be_visible()
    assert query(page)["image"] != first
    page.reload()
    expect(page.get_by_text("2 of 4")).to_be_visible()
    page.get_by_text("Wipe between the networks").click()
    expect(page.get_by_role("slider", name="Wipe")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tile")).to_have_count(4)

    page.goto(f"{app.address}/predict")
    wait_until_ready(app)
    drop(page, photographs)
    assert {job.worker for job in predictions(app)[0]} == {worker}


def test_the_threshold_changes_areas_address_and_downloads(app, open_tab, photographs):
    page = open_tab(f"{app.address}/predict", width_px=800)
    wait_until_ready(app)
    drop(page, photographs)
    area = page.locator(".tile .subtitle").first
    before = area.inner_text()
    slider = page.get_by_role("slider", name="Threshold")
    slider.focus()
    for _ in range(30):
        slider.press("ArrowRight")
    expect(area).not_to_have_text(before, timeout=WORK_MS)
    expect(slider).to_have_value("0.8")
    expect(page).to_have_url(re.compile(r"threshold=0\.8"))
    link = page.get_by_role("link", name="Download masks")
    expect(link).to_have_attribute("href", re.compile(r"threshold=0\.8"))
    page.get_by_role("button", name="Other downloads").click()
    link = page.get_by_test_id("stPopoverBody").get_by_role("link", name=re.compile("Masks$"))
    assert "threshold=0.8" in link.get_attribute("href")
