"""Estimates of trainings, from those that have finished."""

from datetime import timedelta

from dashboard.facts import training_time
from db import datasets, runs, submissions
from db.columns import utc_now
from db.models import Job, JobStatus
from engine import VERSION
from engine.core.run_config import config_from
from engine.training.workload import workload
from tests.support.installation import add_discs

HERE = {"devices": ["CPU"], "cpu": "reference", "threads": 2, "precision": "float32"}
CONFIG = config_from("fast", {"training": {"epochs": 3}})


def add_finished(installation, dataset, name, hardware=HERE, took_s=100.0, at=0, **job_values):
    with installation.database.writing() as session:
        run, job = submissions.submit_train(
            session, dataset.id, None, name, "fast", CONFIG.model_dump(mode="json"), VERSION
        )
        images = datasets.images(session, dataset.id)
        sides = ["validation", *["train"] * (len(images) - 1)]
        rows = [
            {"image_id": image.id, "split": side, "probe": False} for image, side in zip(images, sides, strict=True)
        ]
        runs.set_split(session, run.id, rows)
        run.train_seconds, run.details = 0.7 * took_s, {"hardware": hardware}
        job = session.get_one(Job, job.id)
        job.status, job.attempt = JobStatus.FINISHED, 1
        job.started_at = utc_now() + timedelta(hours=at)
        job.finished_at = job.started_at + timedelta(seconds=took_s)
        job.result = {"epochs": 3, "seconds": 0.2 * took_s, "images": len(images)}
        for field, value in job_values.items():
            setattr(job, field, value)


def test_finished_trainings_of_this_hardware_are_the_history(installation):
    dataset = add_discs(installation, 6)
    work = workload(CONFIG, 6, {(64, 64): 6}, False)
    with installation.database.reading() as session:
        assert training_time.history(session) == ()
        assert training_time.estimate(session, CONFIG, work, 6).runs == 0
    add_finished(installation, dataset, "elsewhere", {**HERE, "cpu": "another"}, at=-3)
    add_finished(installation, dataset, "interrupted", attempt=2, at=-2)
    add_finished(installation, dataset, "here")
    with installation.database.reading() as session:
        [past] = training_time.history(session)
        known = training_time.estimate(session, CONFIG, work, 6)
    assert (past.epochs, past.images, past.work.train_images) == (3, 6, 4)
    assert abs(past.train_s - 70) < 1 and abs(past.predict_s - 20) < 1 and abs(past.rest_s - 10) < 1
    assert known.runs == 1
