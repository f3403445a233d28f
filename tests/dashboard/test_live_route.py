"""The route that open pages of a run ask: what it says, whom it answers, and that many askers cost one look."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard import urls
from dashboard.live_route import Board
from db import jobs, runs, submissions
from db.models import JobStatus, new_id
from engine import VERSION
from engine.config import config_from
from tests.dashboard.serving import serving
from tests.house import add_discs


@pytest.fixture
def run(dashboard):
    dataset = add_discs(dashboard, count=4)
    config = config_from("fast", {"training": {"epochs": 5}}).model_dump()
    with dashboard.database.writing() as session:
        made, _ = submissions.submit_train(session, dataset.id, None, "watched", "fast", config, VERSION)
    with dashboard.database.writing() as session:
        jobs.claim(session, "test", 9, 60.0)
        jobs.heartbeat(session, made.job_id, 1, (9, 15, "Epoch 4 of 5: 0 of 3 images, 3.0 images/s"))
    return made


def ask(server, run_id, **headers):
    return server.ask(urls.live_run(run_id), **headers)


def test_it_tells_how_far_a_run_is_and_changes_its_version_with_an_epoch(dashboard, run):
    with serving() as server:
        answer = ask(server, run.id)
        before = json.loads(answer.body)
        assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
        assert before["share"] == 9 / 15
        assert before["text"] == "Epoch 4 of 5: 0 of 3 images, 3.0 images/s · about 2 s left"
        with dashboard.database.writing() as session:
            runs.save_metrics(session, run.id, 1, {"loss": 0.5})
        until(lambda: json.loads(ask(server, run.id).body)["version"] != before["version"])


def test_it_says_when_a_run_has_ended(dashboard, run):
    with serving() as server:
        working = json.loads(ask(server, run.id).body)
        with dashboard.database.writing() as session:
            jobs.finish(session, run.job_id, 1, JobStatus.FINISHED)
        until(lambda: json.loads(ask(server, run.id).body)["share"] is None)
        assert json.loads(ask(server, run.id).body)["version"] != working["version"]


def test_it_answers_our_own_pages_and_for_runs_that_exist(run):
    with serving() as server:
        assert ask(server, run.id, sec_fetch_site="cross-site").status == 403
        assert ask(server, new_id()).status == 404
        assert ask(server, "..%2f..%2fapp.db").status == 404
        assert ask(server, run.id, sec_fetch_site="same-origin").headers["x-content-type-options"] == "nosniff"


def in_its_own_thread(work):
    """Run a coroutine function to its end; a thread that has driven a browser has an event loop of its own already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(work())).result()


def test_many_who_ask_at_once_cost_one_look():
    looks = []

    def read(run_id):
        looks.append(run_id)
        return run_id.encode()

    async def crowd():
        board = Board(read, fresh_s=60.0)
        answers = await asyncio.gather(*(board.answer(run_id) for run_id in ["a", "b"] * 20))
        assert set(answers) == {b"a", b"b"}

    in_its_own_thread(crowd)
    assert sorted(looks) == ["a", "b"]


def test_an_answer_grows_old_and_the_board_stays_small():
    looks = []

    async def later():
        board = Board(lambda run_id: looks.append(run_id) or b"x", fresh_s=0.0)
        for number in range(300):
            await board.answer(str(number))
        await board.answer("299")
        assert len(board._kept) <= 64

    in_its_own_thread(later)
    assert looks[-2:] == ["299", "299"]


def until(condition, tries=500):
    """Ask again until the kept answer has grown old."""
    for _ in range(tries):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("The answer stayed as it was.")
