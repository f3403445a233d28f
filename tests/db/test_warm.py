"""Who is ready to predict, and when a network is asked for."""

from datetime import timedelta

import pytest

from db import jobs, warm
from db.columns import utc_now
from db.models import Job, JobKind, JobStatus
from db.workers import Capacity, Needs

LOST_S = 60.0


def ready(installation, later_s=0.0):
    with installation.database.reading() as session:
        return warm.readiness(session, utc_now() + timedelta(seconds=later_s), LOST_S)


def ask(installation, run_id="a", max_running=2):
    with installation.database.writing() as session:
        return warm.submit(session, run_id, utc_now(), max_running, LOST_S)


def register(installation, worker="first", run_ids=("a",)):
    with installation.database.writing() as session:
        return warm.register(session, worker, list(run_ids))


def test_nobody_is_ready_at_first(installation):
    assert ready(installation) == warm.Readiness(None, (), False, False)
    assert not ready(installation).takes_predictions


def test_one_worker_at_most_is_registered(installation):
    assert register(installation)
    assert register(installation, "second") is None
    assert ready(installation).worker == "first" and ready(installation).takes_predictions


def test_the_registration_of_a_killed_worker_is_replaced(installation):
    register(installation)
    assert ready(installation, later_s=warm.SILENT_S + 1).worker is None
    with installation.database.writing() as session:
        session.query(Job).one().heartbeat_at = utc_now() - timedelta(seconds=warm.SILENT_S + 1)
    assert register(installation, "second")
    assert ready(installation).worker == "second"


def test_renewing_a_deleted_registration_reports_it(installation):
    registration_id = register(installation)
    with installation.database.writing() as session:
        assert warm.renew(session, registration_id, ["a", "b"])
    assert ready(installation).run_ids == ("a", "b")
    with installation.database.writing() as session:
        warm.dismiss(session)
        assert not warm.renew(session, registration_id, ["a"])
    assert ready(installation).worker is None


def test_a_busy_worker_takes_no_prediction_soon(installation):
    register(installation)
    with installation.database.writing() as session:
        jobs.submit(session, JobKind.PREDICT, {})
        jobs.claim(session, "first", 2, LOST_S)
    assert ready(installation).busy and not ready(installation).takes_predictions
    assert ask(installation, "b") is None


def test_a_network_is_asked_for_once(installation):
    first = ask(installation)
    assert (first.kind, first.payload) == (JobKind.WARM, {"network": "a"})
    assert ready(installation).takes_predictions  # by the worker that is loading it
    assert ask(installation) is None and ask(installation, "b") is None


@pytest.mark.parametrize(("held", "asked"), [("a", False), ("b", True)])
def test_a_network_that_is_held_is_not_asked_for(installation, held, asked):
    register(installation, run_ids=[held])
    assert (ask(installation, "a") is not None) == asked


def test_getting_ready_never_holds_up_other_work(installation):
    with installation.database.writing() as session:
        job = jobs.submit(session, JobKind.TRAIN, {})
    assert ask(installation) is None  # it would wait behind, and the next job behind it
    with installation.database.writing() as session:
        jobs.claim(session, "trainer", 1, LOST_S)
    assert ask(installation, max_running=1) is None
    assert ask(installation, max_running=2) is not None
    assert installation.job(job.id).status == JobStatus.RUNNING


def test_a_lost_request_is_not_waited_for(installation):
    ask(installation)
    with installation.database.writing() as session:
        jobs.claim(session, "gone", 2, LOST_S)
        session.query(Job).one().heartbeat_at = utc_now() - timedelta(seconds=LOST_S + 1)
    assert not ready(installation).requested


def test_dismissing_withdraws_what_waits_but_not_what_runs(installation):
    ask(installation)
    with installation.database.writing() as session:
        warm.dismiss(session)
    assert not ready(installation).requested
    ask(installation)
    with installation.database.writing() as session:
        jobs.claim(session, "first", 2, LOST_S)
        warm.dismiss(session)
    assert ready(installation).requested


def test_jobs_that_wait_for_another_machine_do_not_keep_a_network_from_being_loaded(installation):
    with installation.database.writing() as session:
        jobs.require(jobs.submit(session, JobKind.LABEL, {}), Needs(tag="elsewhere"))
        assert warm.submit(session, "a", utc_now(), 2, LOST_S) is None
        assert warm.submit(session, "a", utc_now(), 2, LOST_S, Capacity(8000)) is not None
