"""Machines that joined: on the Home page, in what a queued job waits for, and as a choice of the Train page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.facts.places import places, words
from dashboard.views.home import machine_facts
from dashboard.views.home.joined_facts import Requested, joined_machines, requested
from db import jobs, launches, submissions, workers
from db.columns import new_id, utc_now
from db.models import Job, JobKind, Launch, Worker, WorkerKind
from db.workers import Needs
from engine.core import machine
from tests.support.installation import add_discs

NONE = Needs()


@pytest.fixture(autouse=True)
def no_gpu_here(monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: ())


def register(database, host="lab-1", kind=WorkerKind.JOINED, silent_s=0, **changes):
    values = {"memory_mb": 64_000, "gpus": ["H200", "H200"], "tags": ["big"], "slots": 2, "cores": 16} | changes
    worker = Worker(id=new_id(), kind=kind, host=host, pid=1, version="1", started_at=utc_now(), **values)
    with database.writing() as session:
        workers.beat(session, worker)
        session.get_one(Worker, worker.id).heartbeat_at = utc_now() - timedelta(seconds=silent_s)
    return worker


def submit(installation, needs=NONE, name="first"):
    dataset = add_discs(installation, 1, name=f"images of {name}")
    with installation.database.writing() as session:
        label_set, job = submissions.submit_label(session, dataset.id, name, "threshold", {}, 0, "1")
        jobs.require(job, needs)
        return label_set, job.id


def machines(installation):
    now = utc_now()
    with installation.database.reading() as session:
        return joined_machines(session, now, 60.0)


def test_a_machine_shows_what_it_has_and_does_and_since_when_it_is_silent(installation):
    register(installation.database, kind=WorkerKind.LOCAL)
    assert machines(installation) == ()
    busy, _, _ = (
        register(installation.database),
        register(installation.database, "lab-2", gpus=[], tags=[], slots=1),
        register(installation.database, "lab-3", silent_s=200),
    )
    register(installation.database, "gone", silent_s=100_000)
    submit(installation)
    with installation.database.writing() as session:
        jobs.submit(session, JobKind.MEASURE, {})
        for _ in range(2):
            assert jobs.claim(session, "a process", 2, 60.0, None, busy)
    first, second, third = machines(installation)
    assert first.name == "lab-1" and first.has == "16 cores, 64 GB of memory, 2 × H200, tag big"
    assert first.does == "Computing masks: first · A short job" and first.silent == ""
    assert (second.has, second.does) == ("16 cores, 64 GB of memory", "idle")
    assert third.does == "" and third.silent.startswith("3 min 2")


def test_jobs_of_joined_machines_are_not_counted_as_those_of_this_one(installation):
    def here(**changes):
        current = installation.settings.model_copy(update=changes)
        with installation.database.reading() as session:
            found = machine_facts.machine(session, current, None, utc_now())
        return found.work, found.lost

    submit(installation)
    submit(installation, Needs(tag="big"), name="second")
    assert here() == ("1 waiting", 0)
    busy = register(installation.database)
    with installation.database.writing() as session:
        for _ in range(2):
            assert jobs.claim(session, "a process", 2, 60.0, None, busy)
    assert here() == ("idle", 0)
    assert here(max_workers=0) == ("none here", 0)


def test_where_to_run_is_a_choice_only_with_other_machines(installation):
    def choices(**changes):
        with installation.database.reading() as session:
            return places(session, installation.settings.model_copy(update=changes), utc_now())

    register(installation.database, silent_s=200)
    assert list(choices()) == [Needs()]
    register(installation.database, "lab-1")
    register(installation.database, "lab-2", gpus=[], tags=["big", "quiet"])
    assert choices() == {
        Needs(): "",
        Needs(gpu=True): "lab-1",
        Needs(tag="big"): "lab-1, lab-2",
        Needs(tag="quiet"): "lab-2",
        Needs(local=True): "",
    }
    assert [words(needs) for needs in choices()] == [
        "Any machine",
        "With a GPU",
        "Tag big",
        "Tag quiet",
        "This machine",
    ]
    assert Needs(local=True) not in choices(max_workers=0)


def test_the_home_page_lists_machines_and_forgets_a_silent_one(dashboard, open_page):
    app = open_page("views/home/page.py")
    assert not any("joined" in each.value for each in app.markdown)
    register(dashboard.database, "lab-1")
    silent = register(dashboard.database, "lab-2", silent_s=300)
    submit(dashboard, Needs(tag="none such"))
    app = open_page("views/home/page.py")
    words = " ".join(each.value for each in app.markdown)
    assert "Machines that joined" in words and "lab\\-1" in words and "idle" in words and "for 5 min" in words
    assert any("No machine that is connected can take it" in each.value for each in app.caption)
    app.button(f"home-forget-{silent.id}").click().run()
    assert not app.exception
    assert [each.name for each in machines(dashboard)] == ["lab-1"]


def test_the_train_page_starts_a_run_on_the_chosen_machine(dashboard, open_page, submitted):
    add_discs(dashboard, 6)
    app = open_page("views/train/page.py")
    assert "Where to run" not in {each.label for each in app.selectbox}
    register(dashboard.database)
    app = open_page("views/train/page.py")
    app.selectbox("train-where").select(Needs(gpu=True)).run()
    app.button("train-start").click().run()
    assert not app.exception and submitted == []  # a worker of this machine could not take it
    with dashboard.database.reading() as session:
        (job,) = session.query(Job).all()
        assert (job.needs_gpu, job.needs_tag, job.needs_local) == (True, "", False)


def test_the_choice_stays_while_machines_come_and_go(dashboard, open_page, submitted):
    add_discs(dashboard, 6)
    register(dashboard.database)
    app = open_page("views/train/page.py")
    app.selectbox("train-where").select(Needs(gpu=True)).run()
    assert any("lab\\-1" in each.value for each in app.caption)
    register(dashboard.database, "lab-2")
    app.run()
    assert app.selectbox("train-where").value == Needs(gpu=True)
    with dashboard.database.writing() as session:
        for each in workers.joined(session, utc_now()):
            workers.forget(session, each.id)
    app.run()
    assert app.selectbox("train-where").value == Needs(gpu=True)
    assert any("No machine that is connected has this" in each.value for each in app.caption)
    app.button("train-start").click().run()
    with dashboard.database.reading() as session:
        assert session.query(Job).one().needs_gpu


def test_what_a_launcher_started_requested_and_could_not_start_is_said(installation):
    rules = launches.Rules("command", at_most=3, timeout_s=600, lost_after_s=60)
    now = utc_now()

    def asked(seconds=0):
        with installation.database.reading() as session:
            return requested(session, now + timedelta(seconds=seconds))

    assert asked() == Requested("", "")
    submit(installation)
    submit(installation, name="second")
    with installation.database.writing() as session:
        first, second = launches.request(session, rules, None, 0, now)
    assert asked(120).words == "2 workers were requested 2 min ago. Not joined yet."
    with installation.database.writing() as session:
        launches.fail(session, second.id, "A worker could not be started. ssh: Connection refused.")
        launches.join(session, worker_of(first), now, 60.0)
    (machine,) = machines(installation)
    assert machine.has.endswith("started by the launcher") and asked() == Requested("", "")
    with installation.database.writing() as session:
        workers.forget(session, first.id)
        (third, fourth) = launches.request(session, rules, None, 0, now)
        launches.fail(session, third.id, "A worker could not be started. ssh: Connection refused.")
        launches.fail(session, fourth.id, "A worker could not be started. ssh: Connection refused.")
        now = session.get_one(Launch, fourth.id, populate_existing=True).failed_at
    assert asked().failed.startswith("A worker could not be started. ssh: Connection refused. The next try is in 30 s.")
    assert asked(60).failed.endswith("It is tried again when a job needs it.")


def worker_of(launch):
    return Worker(
        id=launch.id, kind=WorkerKind.JOINED, host="n1", pid=1, version="1", slots=1, gpus=[], tags=[], memory_mb=1
    )
