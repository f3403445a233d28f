"""Workers and what jobs need of them, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from db import jobs, workers
from db.columns import new_id, utc_now
from db.models import Job, JobKind, JobStatus, Worker, WorkerKind
from db.workers import Capacity, Needs

LOST_AFTER_S = 60.0
HERE = Capacity(8000)
GPU_MACHINE = {"gpus": ["NVIDIA H200"], "memory_mb": 64_000, "tags": ["big", "lab"], "slots": 2}


def register(database, kind=WorkerKind.JOINED, **changes):
    values = {"memory_mb": 8000, "gpus": [], "tags": [], "slots": 1} | changes
    worker = Worker(id=new_id(), kind=kind, host="box", pid=1, version="1", cores=2, started_at=utc_now(), **values)
    with database.writing() as session:
        workers.beat(session, worker)
    return worker


def submit(database, payload=None, **needs):
    with database.writing() as session:
        job = jobs.submit(session, JobKind.LABEL, payload or {})
        jobs.require(job, Needs(**needs))
        return job.id


def claim(database, worker, max_running=2):
    with database.writing() as session:
        job = jobs.claim(session, "a process", max_running, LOST_AFTER_S, None, worker)
        return job.id if job else None


def rows(database):
    with database.reading() as session:
        return {row.id for row in session.scalars(select(Worker))}


@pytest.mark.parametrize("needs", [{"gpu": True}, {"memory_mb": 16_000}, {"tag": "lab"}])
def test_a_job_waits_for_a_worker_that_has_what_it_needs(database, needs):
    wanting, plain = submit(database, **needs), submit(database)
    small, large = register(database, WorkerKind.LOCAL), register(database, **GPU_MACHINE)
    assert claim(database, small) == plain
    assert claim(database, small) is None
    assert claim(database, large) == wanting
    with database.reading() as session:
        assert session.get_one(Job, wanting).worker_id == large.id
        assert [job.id for job in workers.held(session, large.id)] == [wanting]


def test_jobs_beside_each_other_fit_into_the_memory_of_their_machine(database):
    first, second, third = (submit(database, memory_mb=mb) for mb in (40_000, 40_000, 20_000))
    machine = register(database, **GPU_MACHINE)
    assert claim(database, machine) == first
    assert claim(database, machine) == third
    with database.reading() as session:
        assert session.get_one(Job, second).status == JobStatus.QUEUED


def test_a_joined_worker_has_its_own_slots_and_leaves_those_of_this_machine_free(database):
    for _ in range(5):
        submit(database)
    local, joined = register(database, WorkerKind.LOCAL), register(database, **GPU_MACHINE)
    claims = [claim(database, worker, max_running=1) for worker in (joined, joined, joined, local, local)]
    assert [job is not None for job in claims] == [True, True, False, True, False]
    with database.reading() as session:
        assert jobs.running(session, utc_now(), LOST_AFTER_S) == 1
        assert jobs.running(session, utc_now(), LOST_AFTER_S, joined) == 2


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_what_lies_on_the_machine_of_the_app_is_imported_there(database, kind):
    here = submit(database, {"source": {"kind": kind, "path": "/photos"}})
    uploaded = submit(database, {"source": {"kind": "upload", "token": "x"}})
    assert claim(database, register(database, **GPU_MACHINE)) == uploaded
    assert claim(database, register(database, WorkerKind.LOCAL)) == here


def test_a_worker_that_is_to_stop_is_forgotten_or_is_silent_claims_nothing(database):
    submit(database)
    stopping, forgotten, silent = (register(database) for _ in range(3))
    with database.writing() as session:
        workers.stop(session, stopping.id)
        session.delete(session.get_one(Worker, forgotten.id))
        session.get_one(Worker, silent.id).heartbeat_at = utc_now() - timedelta(seconds=LOST_AFTER_S + 1)
        assert workers.is_stopping(session, stopping.id) and not workers.is_stopping(session, silent.id)
    assert [claim(database, worker) for worker in (stopping, forgotten, silent)] == [None] * 3
    with database.writing() as session:
        workers.beat(session, silent)
    assert claim(database, silent) is not None


def test_lost_jobs_of_joined_workers_go_back_by_themselves_but_not_for_ever(database):
    submit(database)
    later = utc_now() + timedelta(seconds=LOST_AFTER_S + 1)
    for expected in [1] * (jobs.AUTOMATIC_ATTEMPTS - 1) + [0]:
        assert claim(database, register(database)) is not None
        with database.writing() as session:
            assert jobs.requeue_lost_of_joined(session, utc_now(), LOST_AFTER_S) == 0
            assert jobs.requeue_lost_of_joined(session, later, LOST_AFTER_S) == expected
    submit(database)
    assert claim(database, register(database, WorkerKind.LOCAL)) is not None
    with database.writing() as session:
        assert jobs.requeue_lost_of_joined(session, later, LOST_AFTER_S) == 0


def test_a_job_is_handed_back_once_and_not_if_a_person_stops_it(database):
    worker = register(database, slots=2)
    given, stopped = submit(database), submit(database)
    claim(database, worker), claim(database, worker)
    with database.writing() as session:
        jobs.request_stop(session, stopped)
        assert jobs.hand_back(session, given, 1) and not jobs.hand_back(session, given, 1)
        assert not jobs.hand_back(session, stopped, 1)


def test_rows_of_workers_that_ended_or_were_silent_for_long_go_and_the_app_stays(database):
    with database.writing() as session:
        app_id = workers.register_app(session, "desk", 1, "1")
    ended, old, fresh = (register(database) for _ in range(3))
    with database.writing() as session:
        for row_id in (old.id, app_id):
            session.get_one(Worker, row_id).heartbeat_at = utc_now() - workers.GONE_AFTER - timedelta(minutes=1)
        assert [row.id for row in workers.joined(session, utc_now())] == [ended.id, fresh.id]
        workers.leave(session, ended.id)
    assert rows(database) == {fresh.id, app_id}
    with database.writing() as session:
        again = workers.register_app(session, "desk", 2, "2")
        assert workers.app_of(session).version == "2"
    assert rows(database) == {fresh.id, again}


def test_why_a_job_waits_is_a_sentence_only_where_no_machine_can_take_it(database):
    def why(here=HERE, now=None, **needs):
        with database.reading() as session:
            return workers.why_waiting(session, Needs(**needs), here, now or utc_now(), LOST_AFTER_S)

    assert why() == "" and why(memory_mb=4000) == ""
    assert "it needs a GPU, 32 GB of memory and the tag 'big'." in why(gpu=True, memory_mb=32_000, tag="big")
    assert "No machine runs jobs now" in why(here=None)
    register(database, **GPU_MACHINE)
    assert why(gpu=True, memory_mb=32_000, tag="big") == why(here=None) == ""
    assert "it needs a GPU" in why(gpu=True, now=utc_now() + timedelta(seconds=LOST_AFTER_S + 1))
    assert "needs the machine on which the app runs" in why(here=None, local=True)


def test_a_local_worker_is_not_started_for_what_it_cannot_take(database):
    submit(database, gpu=True)
    with database.reading() as session:
        for capacity, expected in ((Capacity(8000), False), (Capacity(8000, ("NVIDIA H200",)), True)):
            assert jobs.waiting_without_worker(session, utc_now(), LOST_AFTER_S, 2, capacity) == expected


def test_a_local_worker_is_not_started_while_memory_that_a_job_needs_is_in_use(database):
    def waits():
        with database.reading() as session:
            return jobs.waiting_without_worker(session, utc_now(), LOST_AFTER_S, 2, HERE)

    for _ in range(2):
        submit(database, memory_mb=6000)
    assert waits()
    assert claim(database, register(database, WorkerKind.LOCAL)) is not None
    assert not waits()
