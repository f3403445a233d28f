"""The queue's promises: one winner for each job, nothing written by a worker that lost it."""

import threading
from datetime import timedelta

import pytest

from db import audit, datasets, jobs
from db.columns import utc_now
from db.models import Job, JobKind, JobStatus
from engine.core.settings import Settings
from engine.work.worker import WorkerContext

LOST_AFTER_S = 60


def submit(database, **payload):
    with database.writing() as session:
        return jobs.submit(session, JobKind.LABEL, payload).id


def claim(database, worker="w", max_running=10):
    with database.writing() as session:
        return jobs.claim(session, worker, max_running, LOST_AFTER_S)


def read(database, job_id):
    with database.reading() as session:
        return session.get_one(Job, job_id)


def test_many_threads_never_win_the_same_job(database):
    submitted = {submit(database, number=number) for number in range(40)}
    won: list[str] = []

    def work():
        while (job := claim(database, max_running=1000)) is not None:
            won.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 40
    assert set(won) == submitted


def test_the_oldest_goes_first_and_no_more_run_than_allowed(database):
    first, second = submit(database), submit(database)
    assert claim(database, max_running=1).id == first
    assert claim(database, max_running=1) is None
    assert claim(database, max_running=2).id == second


def test_a_lost_job_goes_back_and_its_old_worker_can_no_longer_write(database):
    job_id = submit(database)
    old = claim(database, "old")
    later = utc_now() + timedelta(seconds=LOST_AFTER_S + 1)
    assert jobs.is_lost(read(database, job_id), later, LOST_AFTER_S)
    with database.writing() as session:
        assert jobs.requeue_lost(session, later, LOST_AFTER_S) == 1
    new = claim(database, "new")
    assert (new.id, new.attempt) == (job_id, 2)
    with database.writing() as session:
        assert jobs.should_stop(session, job_id, old.attempt)
        assert not jobs.should_stop(session, job_id, new.attempt)
        jobs.heartbeat(session, job_id, old.attempt, jobs.Progress(9, 9, phase="stale"))
        assert not jobs.finish(session, job_id, old.attempt, JobStatus.FAILED, "stale")
    job = read(database, job_id)
    assert (job.status, job.progress_done, job.error) == (JobStatus.RUNNING, 0, None)


def test_a_job_that_speaks_is_not_lost(database):
    job_id = submit(database)
    job = claim(database)
    with database.writing() as session:
        jobs.heartbeat(
            session,
            job_id,
            job.attempt,
            jobs.Progress(3, 7, phase="computing_masks", rate=2.5, details={"subject": "a.png"}),
        )
        assert jobs.requeue_lost(session, utc_now(), LOST_AFTER_S) == 0
    job = read(database, job_id)
    expected = jobs.Progress(3, 7, "images", "computing_masks", 2.5, {"subject": "a.png"})
    assert jobs.Progress.of(job) == expected


def test_stop_is_immediate_while_queued_and_a_request_while_running(database):
    queued = submit(database)
    with database.writing() as session:
        jobs.request_stop(session, queued)
    assert read(database, queued).status == JobStatus.STOPPED
    running = submit(database)
    job = claim(database)
    with database.writing() as session:
        jobs.request_stop(session, running)
        assert jobs.should_stop(session, running, job.attempt)
    assert read(database, running).status == JobStatus.RUNNING


def test_a_stopped_job_can_be_resumed_and_is_no_longer_asked_to_stop(database):
    job_id = submit(database)
    job = claim(database)
    with database.writing() as session:
        jobs.request_stop(session, job_id)
        assert jobs.finish(session, job_id, job.attempt, JobStatus.STOPPED, result={"images": 3})
        assert jobs.requeue(session, job_id)
    job = claim(database)
    assert (job.attempt, job.stop_requested, job.result) == (2, False, {"images": 3})


def test_who_stops_or_resumes_a_job_is_written_down_once_with_what_it_works_on(database):
    with database.writing() as session:
        dataset = datasets.create(session, "Ward 7")
    job_id = submit(database, dataset=dataset.id)
    job = claim(database)
    with database.writing() as session:
        jobs.request_stop(session, job_id)
        jobs.request_stop(session, job_id)
        assert jobs.finish(session, job_id, job.attempt, JobStatus.STOPPED)
        jobs.request_stop(session, job_id)
        assert jobs.requeue(session, job_id) and not jobs.requeue(session, job_id)
    with database.reading() as session:
        told = [(row.action, row.kind, row.object_id, row.name, row.detail) for row in audit.entries(session, "job")]
    expected = ("job", job_id, "Ward 7", "label job")
    assert told == [("resumed", *expected), ("stopped", *expected)]


def test_a_finished_job_is_never_changed(database):
    job_id = submit(database)
    job = claim(database)
    with database.writing() as session:
        assert jobs.finish(session, job_id, job.attempt, JobStatus.FINISHED)
    with database.writing() as session:
        assert not jobs.requeue(session, job_id)
        assert not jobs.finish(session, job_id, job.attempt, JobStatus.FAILED, "too late")
        jobs.request_stop(session, job_id)
    assert read(database, job_id).status == JobStatus.FINISHED


def test_a_lost_job_that_was_asked_to_stop_ends_as_stopped(database):
    job_id = submit(database)
    claim(database)
    with database.writing() as session:
        jobs.request_stop(session, job_id)
        assert jobs.requeue_lost(session, utc_now() + timedelta(seconds=61), LOST_AFTER_S) == 0
    assert read(database, job_id).status == JobStatus.STOPPED


def test_waiting_without_worker_sees_queue_and_capacity(database):
    def waiting(max_running):
        with database.reading() as session:
            return jobs.waiting_without_worker(session, utc_now(), LOST_AFTER_S, max_running)

    assert not waiting(1)
    submit(database)
    submit(database)
    assert waiting(1)
    claim(database)
    assert not waiting(1)
    assert waiting(2)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_sign_of_life_of_another_time_is_none_whichever_way_the_clock_was_set(database, hours):
    job_id = submit(database)
    claim(database)
    with database.writing() as session:
        session.get_one(Job, job_id).heartbeat_at = utc_now() + timedelta(hours=hours)
    assert jobs.is_lost(read(database, job_id), utc_now(), LOST_AFTER_S)
    with database.writing() as session:
        assert jobs.running(session, utc_now(), LOST_AFTER_S) == 0
        assert jobs.requeue_lost(session, utc_now(), LOST_AFTER_S) == 1
    assert read(database, job_id).status == JobStatus.QUEUED


def test_a_worker_whose_job_another_took_over_writes_no_row(database):
    job_id = submit(database)
    first = claim(database, "first")
    stale = WorkerContext(database, first, Settings())
    with database.writing() as session:
        dataset = datasets.create(session, "discs")
    with stale.writing() as session:
        datasets.finish_import(session, dataset.id, None, None)
    with database.writing() as session:
        jobs.requeue_lost(session, utc_now(), -1)
    with pytest.raises(jobs.TakenOver), stale.writing() as session:
        datasets.finish_import(session, dataset.id, None, None)
    second = claim(database, "second")
    with pytest.raises(jobs.TakenOver), stale.writing() as session:
        datasets.add_images(session, dataset.id, job_id, [], [{"name": "a.png", "taken": True}])
    with WorkerContext(database, second, Settings()).writing() as session:
        datasets.add_images(session, dataset.id, job_id, [], [{"name": "b.png", "taken": True}])
    with database.reading() as session:
        assert [entry.name for entry in datasets.report(session, dataset.id)] == ["b.png"]
