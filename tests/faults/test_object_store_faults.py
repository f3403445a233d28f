"""An object store that goes away, or a machine that dies, in the middle of jobs: nothing is lost or doubled."""

import threading
import time

import psutil
import pytest

from db import jobs, recipes, runs, submissions
from db.models import JobStatus
from engine.labelling.base import find_method
from engine.store import keys as stored
from engine.store import objects
from engine.work.worker import work
from tests.support.installation import add_discs
from tests.support.training_job import submit_train

PATIENCE_S = 240
IMAGES, EPOCHS = 12, 10

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(in_objects):
    """An installation that its app has opened, and whose jobs are lost soon."""
    in_objects.settings = in_objects.settings.model_copy(update={"lost_after_s": 5.0})
    in_objects.open_app()
    return in_objects


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def job_of(installation, job_id):
    with installation.database.reading() as session:
        return session.get_one(jobs.Job, job_id)


def submit_label(installation):
    dataset = add_discs(installation, IMAGES)
    params = find_method("kmeans").params().model_dump()
    with installation.database.writing() as session:
        label_set, job = submissions.submit_label(session, dataset.id, "masks", "kmeans", params, 0, "test")
    return label_set, job


def files_of(installation, label_set):
    return len(installation.files.keys(stored.label_folder(label_set.id)))


def drawn(installation, label_set):
    with installation.database.reading() as session:
        return len(recipes.labelled_images(session, label_set.id))


def refuse_whole(installation, label_set):
    """Fail unless each image has one label with a file that another machine can read."""
    keys = installation.files.keys(stored.label_folder(label_set.id))
    assert drawn(installation, label_set) == len(keys) == IMAGES
    assert all(installation.files.read(key) for key in keys)


def epochs(installation, run):
    with installation.database.reading() as session:
        return sorted({row.epoch for row in runs.metrics(session, run.id)})


@pytest.mark.soak
def test_a_label_job_waits_for_a_store_that_is_away_for_a_moment(shared, s3, tmp_path):
    label_set, job = submit_label(shared)
    s3.tell("slow 0.2")
    with shared.joined(tmp_path / "there"):
        wait_until(lambda: files_of(shared, label_set) >= 2)
        before = files_of(shared, label_set)
        s3.tell("down")
        s3.tell("up")
        wait_until(lambda: job_of(shared, job.id).status == JobStatus.FINISHED)
    assert before < IMAGES and job_of(shared, job.id).attempt == 1
    refuse_whole(shared, label_set)


def test_a_label_job_whose_store_stays_away_fails_with_a_sentence_and_is_resumed(shared, s3, one_core, monkeypatch):
    monkeypatch.setattr(objects, "PATIENCE_S", 0.5)
    monkeypatch.setattr(objects, "LOG_PATIENCE_S", 0.1)
    label_set, job = submit_label(shared)
    s3.tell("slow 0.1")

    def take_away():
        wait_until(lambda: files_of(shared, label_set) >= 2)
        s3.tell("down")

    thread = threading.Thread(target=take_away)
    thread.start()
    work(shared.database, shared.settings)
    thread.join()
    failed = job_of(shared, job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.error.startswith("The object store s3://") and "does not respond" in failed.error
    s3.tell("up")
    assert 2 <= files_of(shared, label_set) < IMAGES
    with shared.database.writing() as session:
        assert jobs.requeue(session, job.id)
    work(shared.database, shared.settings)
    assert job_of(shared, job.id).status == JobStatus.FINISHED
    refuse_whole(shared, label_set)


def test_a_training_whose_machine_dies_is_resumed_by_another_after_its_last_epoch(shared, s3, tmp_path):
    run, job = submit_train(shared, add_discs(shared, 6), epochs=EPOCHS)
    s3.tell("slow 0.2")
    with shared.joined(tmp_path / "first") as first:
        wait_until(lambda: len(epochs(shared, run)) >= 3)
        for process in [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]:
            process.kill()
    assert len(epochs(shared, run)) < EPOCHS
    s3.tell("well")
    with shared.joined(tmp_path / "second"):
        wait_until(lambda: job_of(shared, job.id).status == JobStatus.FINISHED)
    ended = job_of(shared, job.id)
    assert ended.attempt == job.attempt + 2 and ended.result["epochs"] == EPOCHS
    assert epochs(shared, run) == list(range(1, EPOCHS + 1))
    log = shared.files.tail(stored.job_log_key(job.id), 1_000_000)
    assert "Attempt 2 of train" in log and "Attempt 3 of train" in log
    assert shared.files.exists(stored.best_model_key(run.id))
    assert shared.files.unfinished(stored.RUNS) == []


@pytest.mark.soak
def test_a_training_goes_on_when_the_store_was_away_and_slow(shared, s3, tmp_path):
    run, job = submit_train(shared, add_discs(shared, 6), epochs=4)
    with shared.joined(tmp_path / "there"):
        wait_until(lambda: len(epochs(shared, run)) >= 1)
        s3.tell("down")
        s3.tell("up")
        s3.tell("slow 0.1")
        wait_until(lambda: job_of(shared, job.id).status == JobStatus.FINISHED)
    assert job_of(shared, job.id).attempt == job.attempt + 1
    assert epochs(shared, run) == [1, 2, 3, 4]
