"""How many workers a launcher requests, and what becomes of requests, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

from sqlalchemy import select

from db import jobs, launches, workers
from db.columns import new_id, utc_now
from db.launches import Rules
from db.models import JobKind, Launch, Worker, WorkerKind, WorkerState
from db.workers import Capacity, Needs

RULES = Rules("command", at_most=3, timeout_s=600, lost_after_s=60, tags=("cluster",))
HERE = Capacity(8000)


def submit(database, count=1, **needs):
    with database.writing() as session:
        for _ in range(count):
            jobs.require(jobs.submit(session, JobKind.LABEL, {}), Needs(**needs))


def request(database, rules=RULES, here=None, slots=0, later_s=0.0):
    with database.writing() as session:
        return launches.request(session, rules, here, slots, utc_now() + timedelta(seconds=later_s))


def worker(launch, **changes):
    values = {"memory_mb": 8000, "gpus": [], "tags": ["cluster"], "slots": 1} | changes
    row_id = launch.id if isinstance(launch, Launch) else new_id()
    return Worker(id=row_id, kind=WorkerKind.JOINED, host="box", pid=1, version="1", started_at=utc_now(), **values)


def join(database, launch, **changes):
    with database.writing() as session:
        return launches.join(session, worker(launch, **changes), utc_now(), 60)


def fail(database, launch, sentence="It failed."):
    with database.writing() as session:
        return launches.fail(session, launch.id, sentence)


def rows(database):
    with database.reading() as session:
        return list(session.scalars(select(Launch).order_by(Launch.requested_at)))


def test_a_worker_is_requested_for_each_job_that_none_can_take_and_only_once(database):
    submit(database, 2)
    assert request(database, here=HERE, slots=2) == []  # this machine takes them
    assert len(request(database, here=HERE, slots=1)) == 1
    assert request(database, here=HERE, slots=1) == []  # it may still be queueing
    assert len(request(database)) == 1  # this machine runs nothing any more
    submit(database, 5)
    assert len(request(database)) == 1 and len(rows(database)) == RULES.at_most
    assert request(database) == []


def test_a_free_worker_that_has_joined_is_counted_and_one_that_is_silent_is_not(database):
    submit(database)
    with database.writing() as session:
        workers.beat(session, worker(None))
    assert request(database) == []
    assert len(request(database, later_s=100)) == 1


def test_what_a_job_needs_is_requested_unless_no_launched_worker_can_have_it(database):
    submit(database, gpu=True, memory_mb=32_000)
    submit(database, tag="cluster")
    submit(database, tag="lab")
    submit(database, local=True)
    asked = [(row.needs_gpu, row.needs_memory_mb, row.needs_tag) for row in request(database, here=HERE, slots=9)]
    assert asked == [(True, 32_000, ""), (False, 0, "cluster")]


def test_a_requested_worker_is_an_ordinary_one_and_its_request_goes_with_it(database):
    submit(database)
    (launch,) = request(database)
    assert join(database, launch) == ""
    with database.reading() as session:
        assert [row.id for row in workers.joined(session, utc_now())] == [launch.id]
        assert launches.pending(session) == []
    assert not fail(database, launch)  # such as ssh, whose connection breaks later
    with database.writing() as session:
        workers.leave(session, launch.id)
    assert rows(database) == []


def test_after_a_failure_one_is_tried_at_a_time_with_growing_pauses_until_one_joins(database):
    submit(database, 3)
    for launch in request(database):
        fail(database, launch, "ssh: Connection refused")
    assert request(database) == []
    for pause_s in (31, 95, 220):
        (launch,) = request(database, later_s=pause_s)
        assert request(database, later_s=pause_s) == []
        with database.writing() as session:
            launches.fail(session, launch.id, "ssh: Connection refused")
            session.get_one(Launch, launch.id).failed_at = utc_now() + timedelta(seconds=pause_s)
        with database.reading() as session:
            assert launches.waiting_words(session, Needs(), utc_now()) == "ssh: Connection refused"
    (launch,) = request(database, later_s=1000)
    assert launch.attempt == 5
    assert join(database, launch) == ""
    assert len(rows(database)) == 1 and len(request(database)) == 2


def test_what_has_just_failed_is_tried_after_what_has_not(database):
    submit(database, gpu=True)
    (launch,) = request(database)
    assert "needs a GPU, which it does not offer" in join(database, launch)
    submit(database)
    (launch,) = request(database, rules=replace(RULES, at_most=1), later_s=40)
    assert not launch.needs_gpu


def test_a_job_whose_needs_no_machine_meets_holds_up_no_other(database):
    submit(database, memory_mb=1_000_000)
    (impossible,) = request(database)
    assert "needs 1000 GB of memory, which it does not offer" in join(database, impossible)
    submit(database, 2)
    plain = request(database)  # at once, and not one at a time
    assert [launch.needs_memory_mb for launch in plain] == [0, 0]
    with database.reading() as session:
        now = utc_now()
        assert launches.waiting_words(session, Needs(), now) == "A worker was requested and has not joined yet."
        assert "1000 GB" in launches.waiting_words(session, Needs(memory_mb=1_000_000), now)
    assert join(database, plain[0]) == ""
    assert request(database, later_s=20) == []  # one that joined without the memory is no reason to try again sooner
    (again,) = request(database, later_s=40)
    assert (again.needs_memory_mb, again.attempt) == (1_000_000, 2)
    with database.reading() as session:
        assert launches.failures(session, utc_now() + timedelta(days=2)) == {}


def test_memory_that_jobs_of_this_machine_asked_for_is_not_offered_twice(database):
    submit(database, 2, memory_mb=6000)
    assert len(request(database, here=HERE, slots=2)) == 1
    with database.writing() as session:
        session.query(Launch).delete()
        assert jobs.claim(session, "here", 2, 60)
    assert len(request(database, here=HERE, slots=2)) == 1


def test_a_worker_that_is_started_twice_or_again_is_one_worker(database):
    submit(database)
    (launch,) = request(database)
    assert join(database, launch) == ""
    assert join(database, launch) == "The command has started it twice."
    with database.writing() as session:  # a stop was requested, and its machine dies
        row = session.get_one(Worker, launch.id)
        row.state, row.heartbeat_at = WorkerState.STOPPING, utc_now() - timedelta(hours=1)
    assert join(database, launch) == ""
    with database.reading() as session:
        assert session.get_one(Worker, launch.id).state == WorkerState.ACTIVE


def test_one_that_does_not_join_in_time_is_given_up_and_is_welcome_late_within_the_limit(database):
    rules = Rules("command", at_most=1, timeout_s=600, lost_after_s=60)
    submit(database, 2)
    (late,) = request(database, rules)
    assert request(database, rules, later_s=599) == []
    request(database, rules, later_s=601)
    assert "has not joined within 10 minutes" in rows(database)[0].error
    (second,) = request(database, rules, later_s=700)
    assert join(database, late, tags=[]) == ""
    assert "LAUNCH_LIMIT" in join(database, second, tags=[])
    assert [row.id for row in rows(database)] == [late.id]
    assert "too long ago" in join(database, second)


def test_one_that_falls_silent_before_it_had_a_job_is_followed_by_another_after_a_pause(database):
    submit(database)
    (launch,) = request(database)
    assert join(database, launch) == ""
    assert request(database, later_s=RULES.lost_after_s + 1) == []
    (failed,) = rows(database)
    assert failed.error == "The worker on box that was requested fell silent before it had a job."
    assert len(request(database, later_s=RULES.lost_after_s + 32)) == 1


def test_one_that_falls_silent_with_a_job_is_followed_by_another_at_once(database):
    submit(database)
    (launch,) = request(database)
    assert join(database, launch) == ""
    with database.writing() as session:
        assert jobs.claim(session, "box:1", 1, 60, {JobKind.LABEL}, session.get_one(Worker, launch.id))
    submit(database)
    assert request(database, later_s=RULES.lost_after_s + 1)
    assert {row.error for row in rows(database)} == {""}


def test_old_requests_are_forgotten_but_not_those_of_workers_that_are_still_listed(database):
    submit(database, 2)
    kept, old = request(database)
    join(database, kept)
    fail(database, old)
    request(database, later_s=2 * 86_400)
    ids = {row.id for row in rows(database)}
    assert kept.id in ids and old.id not in ids
    with database.writing() as session:
        workers.forget(session, kept.id)
    assert kept.id not in {row.id for row in rows(database)}


def test_apps_that_look_at_the_same_moment_request_nothing_twice(database):
    submit(database, 2)
    together = Barrier(4)

    def look(_):
        together.wait()
        return len(request(database))

    with ThreadPoolExecutor(4) as apps:
        assert sum(apps.map(look, range(4))) == len(rows(database)) == 2
