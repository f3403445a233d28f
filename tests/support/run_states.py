"""Runs in the states that pages show, without training: queued, running, ended, silent."""

from __future__ import annotations

from datetime import timedelta

from db import jobs, runs, submissions
from db.columns import utc_now
from db.models import Job, Run
from engine import VERSION
from engine.core.run_config import config_from


def start(installation, dataset, name="first", label_set_id=None, epochs=5):
    config = config_from("fast", {"training": {"epochs": epochs}}).model_dump()
    with installation.database.writing() as session:
        run, _ = submissions.submit_train(session, dataset.id, label_set_id, name, "fast", config, VERSION)
    return run


def work(installation, run: Run, epochs=3, status=None, error=None) -> None:
    """Claim the run's job, store some epochs, and end it where `status` says so."""
    with installation.database.writing() as session:
        job = jobs.claim(session, "test", 9, 60.0)
        assert job.id == run.job_id
        for epoch in range(1, epochs + 1):
            values = {"loss": 1 / epoch, "dice": 0.5, "iou": 0.4, "learning_rate": 1e-3}
            runs.save_metrics(
                session, run.id, epoch, values | {"val_loss": 1 / epoch, "val_dice": epoch / 10, "val_iou": 0.2}
            )
        if epochs:
            runs.update_run(session, run.id, best_epoch=epochs, best_val_dice=epochs / 10)
        if status is not None:
            jobs.finish(session, job.id, job.attempt, status, error)


def fall_silent(installation, run: Run) -> None:
    with installation.database.writing() as session:
        session.get_one(Job, run.job_id).heartbeat_at = utc_now() - timedelta(minutes=5)
