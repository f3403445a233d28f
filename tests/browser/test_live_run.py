"""A run in a real browser while it trains: new epochs come by themselves, and what a person has set stays."""

from __future__ import annotations

import re
from urllib.parse import unquote

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from db import datasets, jobs, runs, submissions
from db.models import JobStatus
from engine import VERSION
from engine.core.run_config import config_from
from engine.imaging import codec
from engine.store import keys as stored
from tests.browser.conftest import PATIENCE_MS
from tests.support.photographs import add_photographs
from tests.support.several_classes import add_eggs_and_pans
from tests.support.training_job import training_progress

pytestmark = pytest.mark.shared

EPOCHS = 30
CHARTS = """[...document.querySelectorAll('[data-testid^=stBidiComponent]')]
  .flatMap((e) => [...(e.shadowRoot?.querySelectorAll('.chart') ?? [])]).filter((chart) => chart.data)"""
RANGE = f"() => {CHARTS}[0].layout.xaxis.range.map((edge) => Math.round(edge * 100) / 100)"


@pytest.fixture
def run(app):
    """A run on photographs that the test itself moves on, as a worker would."""
    return started(app, add_photographs(app.installation), "watched")


def started(app, dataset, name, classes=1):
    config = config_from("fast", {"training": {"epochs": EPOCHS}, "model": {"classes": classes}}).model_dump(
        mode="json"
    )
    with app.installation.database.writing() as session:
        made, _ = submissions.submit_train(session, dataset.id, None, name, "fast", config, VERSION)
        images = datasets.images(session, dataset.id)
        rows = [{"image_id": image.id, "split": "validation", "probe": n < 2} for n, image in enumerate(images)]
        runs.set_split(session, made.id, rows)
    with app.installation.database.writing() as session:
        jobs.claim(session, "test", 9, 60.0)
    for epoch in range(1, 4):
        finish_epoch(app.installation, made, epoch)
    return made


def finish_epoch(installation, run, epoch):
    with installation.database.writing() as session:
        values = {"loss": 1 / epoch, "val_loss": 1.1 / epoch, "dice": 0.5, "val_dice": 1 - 0.5 / epoch}
        runs.save_metrics(session, run.id, epoch, values | {"learning_rate": 1e-3})
        runs.update_run(session, run.id, best_epoch=epoch, best_val_dice=1 - 0.5 / epoch)
        jobs.heartbeat(session, run.job_id, 1, training_progress(epoch + 1, EPOCHS, 4, 12, 3.0))


def wait_until_drawn(page: Page, epochs: int) -> None:
    page.wait_for_function(f"() => {CHARTS}[0]?.data[0].x.length === {epochs}")


def epochs_metric(page: Page):
    return page.locator(".number").filter(has_text=re.compile("^Epochs"))


def test_epochs_arrive_and_zoom_hidden_curves_and_scroll_stay(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    expect(epochs_metric(page)).to_contain_text(f"3 of {EPOCHS}", timeout=PATIENCE_MS)
    expect(page.get_by_text("Epoch 4 of 30: 4 of 12 images")).to_be_visible(timeout=PATIENCE_MS)
    wait_until_drawn(page, 3)
    page.evaluate(f"() => {{ Plotly.relayout({CHARTS}[0], {{'xaxis.range': [1.5, 2.5]}}); }}")
    page.locator(".legendtoggle").nth(1).click()
    page.wait_for_function(f"() => {CHARTS}[0].data[1].visible === 'legendonly'")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "live.json" in request.url else None)
    finish_epoch(app.installation, run, 4)
    expect(epochs_metric(page)).to_contain_text(f"4 of {EPOCHS}", timeout=PATIENCE_MS)
    wait_until_drawn(page, 4)
    assert page.evaluate(RANGE) == [1.5, 2.5]
    hidden = page.evaluate(f"() => {CHARTS}[0].data.map((trace) => trace.visible)")
    assert hidden[1] == "legendonly"
    assert asked


def scripts_asked_for(page: Page) -> list[str]:
    """Return a list that grows with each script the page, loaded anew for it, asks for. The table's own clock aside."""
    asked: list[str] = []

    def note(frame: bytes | str) -> None:
        message = BackMsg.FromString(frame if isinstance(frame, bytes) else frame.encode())
        if message.HasField("rerun_script") and not message.rerun_script.is_auto_rerun:
            asked.append(message.rerun_script.fragment_id or "page")

    page.on("websocket", lambda socket: socket.on("framesent", note))
    page.reload()
    return asked


def test_an_epoch_runs_no_script_and_brings_numbers_curves_and_masks(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    scripts = scripts_asked_for(page)
    page.set_viewport_size({"width": 1440, "height": 2600})  # masks load when they can be seen
    wait_until_drawn(page, 3)
    newest = page.locator("strong.epoch")
    expect(newest).to_have_text("3", timeout=PATIENCE_MS)
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(unquote(request.url)) if "/pictures" in request.url else None)
    for epoch in range(4, 8):
        finish_epoch(app.installation, run, epoch)
        expect(epochs_metric(page)).to_contain_text(f"{epoch} of {EPOCHS}", timeout=PATIENCE_MS)
        if epoch == 5:  # by now the scripts that the page itself needs have run
            before = len(scripts)
    assert before > 0
    expect(page.locator(".number").filter(has_text="best epoch (7)")).to_contain_text("0.929")
    wait_until_drawn(page, 7)
    # From the sixth epoch on there is something to tell.
    expect(page.get_by_text("on validation is still rising")).to_be_visible()
    expect(newest).to_have_text("7")
    assert any(f"/runs/{run.id}/probe/7/" in address for address in pictures)
    assert len(scripts) == before


def test_masks_of_a_new_epoch_come_with_their_classes(app, open_tab):
    run = started(app, add_eggs_and_pans(app.installation), "of classes", classes=2)
    with app.installation.database.reading() as session:
        probes = runs.probe_images(session, run.id)
    for epoch in (3, 4):
        for image, _ in probes:
            for key in (stored.probe_key, stored.probe_classes_key):
                pixels = np.full((64, 64), 200 if key is stored.probe_key else 2, np.uint8)
                app.installation.files.write(key(run.id, epoch, image.id), codec.encode_png(pixels))
    page = open_tab(f"{app.address}/runs?run={run.id}")
    page.set_viewport_size({"width": 1440, "height": 3200})  # masks load when they can be seen
    newest = page.locator("strong.epoch")
    expect(newest).to_have_text("3", timeout=PATIENCE_MS)
    expect(page.get_by_text("wrong class")).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_request(lambda request: f"/probe/4/classes/{probes[0][0].id}" in unquote(request.url)):
        finish_epoch(app.installation, run, 4)
    expect(newest).to_have_text("4", timeout=PATIENCE_MS)


def test_another_look_goes_on_following(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    wait_until_drawn(page, 3)
    finish_epoch(app.installation, run, 4)
    wait_until_drawn(page, 4)
    page.get_by_text("Logarithmic loss").click()
    page.wait_for_function(f"() => {CHARTS}[0].layout.yaxis.type === 'log'")
    wait_until_drawn(page, 4)
    finish_epoch(app.installation, run, 5)
    wait_until_drawn(page, 5)
    assert page.evaluate(f"() => {CHARTS}[0].layout.yaxis.type") == "log"
    expect(epochs_metric(page)).to_contain_text(f"5 of {EPOCHS}")


def test_a_script_runs_for_an_epoch_where_it_alone_can_draw_it(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    scripts = scripts_asked_for(page)
    wait_until_drawn(page, 3)
    page.get_by_text("Follow the newest epoch").click()
    slider = page.get_by_role("group", name="Epoch", exact=True)
    expect(slider.get_by_text("3", exact=True)).to_have_count(2, timeout=PATIENCE_MS)  # the value, and the last of all
    before = len(scripts)
    finish_epoch(app.installation, run, 4)
    expect(epochs_metric(page)).to_contain_text(f"4 of {EPOCHS}", timeout=PATIENCE_MS)
    wait_until_drawn(page, 4)
    assert len(scripts) > before
    expect(slider.get_by_text("4", exact=True)).to_have_count(1)
    slider.get_by_role("slider").press("End")
    expect(slider.get_by_text("4", exact=True)).to_have_count(2)


def test_the_bar_moves_without_a_run_of_the_script(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    expect(page.get_by_text("Epoch 4 of 30: 4 of 12 images")).to_be_visible(timeout=PATIENCE_MS)
    with app.installation.database.writing() as session:
        jobs.heartbeat(session, run.job_id, 1, training_progress(4, EPOCHS, 8, 12, 3.0))
    expect(page.get_by_text("Epoch 4 of 30: 8 of 12 images")).to_be_visible(timeout=PATIENCE_MS)
    bar = page.get_by_role("progressbar", name=re.compile("8 of 12 images"))
    assert bar.evaluate("bar => bar.value") == pytest.approx(44 / (EPOCHS * 12))


def test_a_page_comes_back_after_the_network_was_away(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    expect(epochs_metric(page)).to_contain_text(f"3 of {EPOCHS}", timeout=PATIENCE_MS)
    # With news that are lost on the way, too
    page.route("**/epoch.json*", lambda route: route.abort())
    page.route("**/live.json", lambda route: route.abort())
    silent = page.get_by_text("The app does not respond. Training continues without it")
    expect(silent).to_be_visible(timeout=PATIENCE_MS)
    finish_epoch(app.installation, run, 4)
    with page.expect_event("requestfailed", lambda request: "epoch.json" in request.url):
        page.unroute("**/live.json")
    expect(epochs_metric(page)).to_contain_text(f"3 of {EPOCHS}")
    page.unroute("**/epoch.json*")
    expect(epochs_metric(page)).to_contain_text(f"4 of {EPOCHS}", timeout=PATIENCE_MS)
    expect(page.get_by_text("Epoch 5 of 30:")).to_be_visible(timeout=PATIENCE_MS)


def test_asking_stops_and_the_story_comes_when_the_run_ends(app, open_tab, run):
    page = open_tab(f"{app.address}/runs?run={run.id}")
    expect(epochs_metric(page)).to_contain_text(f"3 of {EPOCHS}", timeout=PATIENCE_MS)
    with app.installation.database.writing() as session:
        runs.update_run(session, run.id, ended_reason="All 30 epochs are done.", train_seconds=12.0)
        jobs.finish(session, run.job_id, 1, JobStatus.FINISHED)
    expect(page.get_by_role("heading", name="What happened")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "live.json" in request.url else None)
    page.wait_for_timeout(3000)
    assert asked == []
