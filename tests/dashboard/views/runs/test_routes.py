"""The routes that open pages of a run poll: their answers, who may request them, and that they are read once."""

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import quote

import pytest

from dashboard.facts import urls
from dashboard.views.runs import routes
from dashboard.views.runs.curves import latest_news
from db import datasets, jobs, runs, submissions
from db.columns import new_id
from db.models import JobStatus
from engine import VERSION
from engine.core.run_config import config_from
from tests.support.installation import add_discs
from tests.support.serving import serving
from tests.support.training_job import training_progress


@pytest.fixture
def run(dashboard):
    dataset = add_discs(dashboard, count=4)
    config = config_from("fast", {"training": {"epochs": 5}}).model_dump()
    with dashboard.database.writing() as session:
        made, _ = submissions.submit_train(session, dataset.id, None, "watched", "fast", config, VERSION)
    with dashboard.database.writing() as session:
        jobs.claim(session, "test", 9, 60.0)
        jobs.heartbeat(session, made.job_id, 1, training_progress(4, 5, 0, 3, 3.0))
    return made


def ask(server, run_id, **headers):
    return server.ask(urls.live_run(run_id), **headers)


def test_live_reports_progress_and_changes_its_version_with_an_epoch(dashboard, run):
    with serving() as server:
        answer = ask(server, run.id)
        before = json.loads(answer.body)
        assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
        assert before["share"] == 9 / 15
        assert before["text"] == "Epoch 4 of 5: 0 of 3 images, 3.0 images/s · about 2 s left"
        with dashboard.database.writing() as session:
            runs.save_metrics(session, run.id, 1, {"loss": 0.5})
        until(lambda: json.loads(ask(server, run.id).body)["version"] != before["version"])


def test_live_reports_when_a_run_has_ended(dashboard, run):
    with serving() as server:
        working = json.loads(ask(server, run.id).body)
        with dashboard.database.writing() as session:
            jobs.finish(session, run.job_id, 1, JobStatus.FINISHED)
        until(lambda: json.loads(ask(server, run.id).body)["share"] is None)
        assert json.loads(ask(server, run.id).body)["version"] != working["version"]


def test_live_is_for_own_pages_and_existing_runs_only(run):
    with serving() as server:
        assert ask(server, run.id, sec_fetch_site="cross-site").status == 403
        assert ask(server, new_id()).status == 404
        assert ask(server, "..%2f..%2fapp.db").status == 404
        assert ask(server, run.id, sec_fetch_site="same-origin").headers["x-content-type-options"] == "nosniff"


def ask_news(server, run_id, version="", **headers):
    return server.ask(f"{urls.run_news(run_id, True, 0.5)}&version={quote(version, safe='')}", **headers)


def test_news_hold_what_an_epoch_changed_with_the_requested_curve_settings(dashboard, run):
    with dashboard.database.writing() as session:
        images = datasets.images(session, run.dataset_id)
        runs.set_split(session, run.id, [{"image_id": images[0].id, "split": "validation", "probe": True}])
        for epoch in (1, 2):
            runs.save_metrics(session, run.id, epoch, {"loss": 1 / epoch, "val_loss": 1.0, "val_dice": 0.4})
        runs.update_run(session, run.id, best_epoch=2, best_val_dice=0.4)
    with serving() as server:
        answer = ask_news(server, run.id)
        assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
        news = json.loads(answer.body)
        assert news["epoch"] == 2
        assert [(number["label"], number["value"]) for number in news["numbers"]] == [
            ("Epochs done", "2 of 5"),
            ("Soft Dice vs truth, validation, best epoch (2)", "0.400"),
        ]
        raw, smoothed, *_ = news["figures"]["loss"]["data"]
        assert raw["y"] == [1.0, 0.5] and smoothed["y"] == [1.0, pytest.approx((0.5 * 0.5 + 0.25) / 0.75)]
        assert news["figures"]["loss"]["layout"]["yaxis"]["type"] == "log"
        assert news["masks"] == {images[0].id: urls.probe(run.id, 2, images[0].id)}
        version = json.loads(ask(server, run.id).body)["version"]
        assert news["version"] == version
        packed = ask_news(server, run.id, accept_encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == answer.body


def test_news_requested_with_a_new_version_are_current(dashboard, run):
    with serving() as server:
        for epoch in (1, 2, 3):
            with dashboard.database.writing() as session:
                runs.save_metrics(session, run.id, epoch, {"loss": 1.0})
            news = json.loads(ask_news(server, run.id, f"running/1/{epoch}").body)
            assert news["epoch"] == epoch


def test_news_are_for_own_pages_and_existing_runs_only(run):
    with serving() as server:
        assert ask_news(server, run.id, sec_fetch_site="cross-site").status == 403
        assert ask_news(server, new_id()).status == 404
        assert server.ask(f"{urls.run_news(run.id)}&smoothing=x").status == 400
        assert server.ask(urls.run_news(run.id, smoothing=1.0)).status == 200


def test_the_first_epoch_is_a_new_stage_and_the_second_is_not(dashboard, run):
    with serving() as server:
        before = json.loads(ask(server, run.id).body)
        with dashboard.database.writing() as session:
            runs.save_metrics(session, run.id, 1, {"loss": 0.5})
        until(lambda: json.loads(ask(server, run.id).body)["stage"] != before["stage"])
        first = json.loads(ask(server, run.id).body)
        with dashboard.database.writing() as session:
            runs.save_metrics(session, run.id, 2, {"loss": 0.4})
        until(lambda: json.loads(ask(server, run.id).body)["version"] != first["version"])
        assert json.loads(ask(server, run.id).body)["stage"] == first["stage"]


def test_concurrent_requests_share_one_read(dashboard, run, monkeypatch):
    reads, crowd = [], 20
    together = Barrier(crowd)

    def read(run_id, chosen):
        reads.append(run_id)
        return latest_news(run_id, chosen)

    def request(number):
        together.wait()
        return routes.read_news(run.id, True, 0.5, "running/1/0")

    monkeypatch.setattr(routes, "latest_news", read)
    with ThreadPoolExecutor(crowd) as threads:
        answers = set(threads.map(request, range(crowd)))
    assert len(answers) == 1 and json.loads(gzip.decompress(answers.pop()))["epoch"] == 0
    assert reads == [run.id]


def test_answers_expire(dashboard, run, monkeypatch):
    reads = []
    monkeypatch.setattr(routes, "live_status", lambda *arguments: reads.append(arguments))
    routes.read_live.clear()

    def read_again():
        assert routes.read_live(run.id) is None
        return len(reads) == 2

    until(read_again)


def until(condition, tries=500):
    """Repeat until the cached answer has expired."""
    for _ in range(tries):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("The answer stayed as it was.")
