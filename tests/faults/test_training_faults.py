"""What goes wrong on real machines while a network trains: a full disk, no memory, a worker killed without a word."""

import signal
import time

import pytest
import tensorflow as tf

from dashboard.views.runs.facts import live_status
from db import jobs, runs, submissions
from db.columns import utc_now
from db.models import JobStatus
from engine.core.run_config import config_from
from engine.network.inference import load_model
from engine.store import keys as stored
from engine.training import job as train
from engine.work.context import JobStopped
from engine.work.worker import work
from tests.support.installation import add_discs
from tests.support.training_job import Context
from tests.support.two_classes import NAMES, add_scenes
from tests.support.workers import PATIENCE_S, start_worker

pytestmark = pytest.mark.slow

LARGEST_FILE_BYTES = 12 * 2**20  # the database and its journal fit below it, the model of WIDE does not
WIDE = {"image_size": 16, "depth": 2, "base_filters": 128}


def submit(installation, epochs, add=add_discs, **model):
    values = {
        "training": {"epochs": epochs, "batch_size": 4},
        "model": {"image_size": 32, "depth": 1, "base_filters": 4} | model,
        "early_stopping": {"enabled": False},
        "self_training": {"rounds": 1},
    }
    config = config_from("fast", values).model_dump(mode="json")
    dataset = add(installation, 6)
    with installation.database.writing() as session:
        run, job = submissions.submit_train(session, dataset.id, None, "run", "fast", config, "test")
    job.attempt = 1  # for those that run it without claiming it
    return run, job


def status(installation, run, lost_after_s=60.0):
    with installation.database.reading() as session:
        return live_status(session, run.id, utc_now(), lost_after_s)


def wait_for_epoch(installation, run, job):
    deadline = time.monotonic() + PATIENCE_S
    while not status(installation, run).epochs_done and not installation.job(job.id).status.ended:
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def assert_masks(installation, run, classes):
    """Every image has its mask, and its classes where the run tells them apart."""
    with installation.database.reading() as session:
        row = session.get_one(type(run), run.id)
        own = runs.own_prediction_set(session, row)
        predicted = [each.image_id for each in runs.predictions(session, own.id)]
    assert [entry["name"] for entry in row.classes] == classes
    assert len(predicted) == 6
    found = [installation.files.exists(stored.prediction_classes_key(own.id, image_id)) for image_id in predicted]
    assert found == [bool(classes)] * 6


def test_a_checkpoint_that_does_not_fit_on_the_disk_fails_with_a_sentence_and_a_retry_goes_on(installation):
    run, job = submit(installation, 3, **WIDE)
    with pytest.raises(JobStopped):
        train.run(job, Context(installation, stop_after=2))
    best = installation.files.path(stored.best_model_key(run.id))
    kept = best.read_bytes()
    assert len(kept) > LARGEST_FILE_BYTES
    assert start_worker(installation, LARGEST_FILE_BYTES).wait(PATIENCE_S) == 0
    failed = status(installation, run)
    assert failed.state == "failed" and failed.can_retry
    assert "The disk is full" in failed.sentence and "what was finished is kept" in failed.sentence
    assert best.read_bytes() == kept and load_model(best)
    assert not list(installation.files.path(stored.run_folder(run.id)).rglob("*.part*"))
    with installation.database.writing() as session:
        jobs.requeue(session, job.id)
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED
    assert status(installation, run).epochs_done == 3


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM allocating")])
def test_memory_that_runs_out_names_what_to_lower_and_what_it_is_now(installation, monkeypatch, error):
    run, job = submit(installation, 2)

    def exhausted(*_, **__):
        raise error

    monkeypatch.setattr("engine.training.callbacks.Batches.on_train_batch_end", exhausted)
    work(installation.database, installation.settings)
    failed = status(installation, run)
    assert failed.state == "failed" and failed.can_retry
    for words in ("Memory ran out", "batch size (now 4)", "image size (now 32 px)", "base filters (now 4)"):
        assert words in failed.sentence
    monkeypatch.undo()
    with installation.database.writing() as session:
        jobs.requeue(session, job.id)
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED


@pytest.mark.parametrize(("add", "classes"), [(add_discs, []), (add_scenes, list(NAMES))])
def test_a_worker_killed_for_its_memory_shows_as_lost_with_advice_and_another_goes_on(installation, add, classes):
    run, job = submit(installation, 200, add)
    worker = start_worker(installation)
    wait_for_epoch(installation, run, job)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert installation.job(job.id).status == JobStatus.RUNNING
    lost = status(installation, run, lost_after_s=-1)
    assert lost.state == "lost" and lost.has_model
    assert "probably ran out of memory" in lost.sentence and "batch size (now 4)" in lost.sentence
    kept = lost.epochs_done
    assert load_model(installation.files.path(stored.best_model_key(run.id)))
    with installation.database.writing() as session:
        jobs.requeue_lost(session, utc_now(), -1, job.id)
        run_row = session.get_one(type(run), run.id)
        run_row.config = run_row.config | {"training": run_row.config["training"] | {"epochs": kept + 2}}
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED
    with installation.database.reading() as session:
        assert {row.epoch for row in runs.metrics(session, run.id)} == set(range(1, kept + 3))
    assert_masks(installation, run, classes)
