"""Who is ready to predict, and when a network is asked for."""

from datetime import timedelta

import pytest

from db import jobs, warm
from db.models import Job, JobKind, JobStatus, utc_now

LOST_S = 60.0


def ready(house, later_s=0.0):
    with house.database.reading() as session:
        return warm.readiness(session, utc_now() + timedelta(seconds=later_s), LOST_S)


def ask(house, run_id="a", max_running=2):
    with house.database.writing() as session:
        return warm.submit(session, run_id, utc_now(), max_running, LOST_S)


def hold(house, worker="first", run_ids=("a",)):
    with house.database.writing() as session:
        return warm.hold(session, worker, list(run_ids))


def test_nobody_is_ready_at_first(house):
    assert ready(house) == warm.Readiness(None, (), False, False)
    assert not ready(house).takes_predictions


def test_one_worker_at_most_has_a_sign(house):
    assert hold(house)
    assert hold(house, "second") is None
    assert ready(house).worker == "first" and ready(house).takes_predictions


def test_the_sign_of_a_killed_worker_is_no_obstacle(house):
    hold(house)
    assert ready(house, later_s=warm.SILENT_S + 1).worker is None
    with house.database.writing() as session:
        session.query(Job).one().heartbeat_at = utc_now() - timedelta(seconds=warm.SILENT_S + 1)
    assert hold(house, "second")
    assert ready(house).worker == "second"


def test_a_worker_learns_that_its_sign_is_gone(house):
    sign_id = hold(house)
    with house.database.writing() as session:
        assert warm.beat(session, sign_id, ["a", "b"])
    assert ready(house).run_ids == ("a", "b")
    with house.database.writing() as session:
        warm.dismiss(session)
        assert not warm.beat(session, sign_id, ["a"])
    assert ready(house).worker is None


def test_a_busy_worker_takes_no_prediction_soon(house):
    hold(house)
    with house.database.writing() as session:
        jobs.submit(session, JobKind.PREDICT, {})
        jobs.claim(session, "first", 2, LOST_S)
    assert ready(house).busy and not ready(house).takes_predictions
    assert ask(house, "b") is None


def test_a_network_is_asked_for_once(house):
    first = ask(house)
    assert (first.kind, first.payload) == (JobKind.WARM, {"network": "a"})
    assert ready(house).takes_predictions  # by the worker that is loading it
    assert ask(house) is None and ask(house, "b") is None


@pytest.mark.parametrize(("held", "asked"), [("a", False), ("b", True)])
def test_a_network_that_is_held_is_not_asked_for(house, held, asked):
    hold(house, run_ids=[held])
    assert (ask(house, "a") is not None) == asked


def test_getting_ready_never_holds_up_other_work(house):
    with house.database.writing() as session:
        job = jobs.submit(session, JobKind.TRAIN, {})
    assert ask(house) is None  # it would wait behind, and the next job behind it
    with house.database.writing() as session:
        jobs.claim(session, "trainer", 1, LOST_S)
    assert ask(house, max_running=1) is None
    assert ask(house, max_running=2) is not None
    assert house.job(job.id).status == JobStatus.RUNNING


def test_a_lost_request_is_not_waited_for(house):
    ask(house)
    with house.database.writing() as session:
        jobs.claim(session, "gone", 2, LOST_S)
        session.query(Job).one().heartbeat_at = utc_now() - timedelta(seconds=LOST_S + 1)
    assert not ready(house).requested


def test_dismissing_withdraws_what_waits_but_not_what_runs(house):
    ask(house)
    with house.database.writing() as session:
        warm.dismiss(session)
    assert not ready(house).requested
    ask(house)
    with house.database.writing() as session:
        jobs.claim(session, "first", 2, LOST_S)
        warm.dismiss(session)
    assert ready(house).requested
