"""A real Ray cluster of two nodes with one core each: workers as actors, tasks on nodes, and nodes that are killed."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from sqlalchemy import func, select

from db import jobs, runs, submissions
from db.columns import utc_now
from db.models import JobStatus, Label, Launch, Prediction
from engine.core.network_parameters import ModelParams
from engine.imaging import codec
from engine.network.networks import network
from engine.prediction import job as predict
from engine.store import keys as stored
from engine.work.launchers.ray import RayLauncher
from tests.engine.work.test_joining import open_app, submit_label
from tests.support.installation import add_discs
from tests.support.object_measurements import submit
from tests.support.ray_nodes import RayNodes
from tests.support.training_job import Context, submit_train

PATIENCE_S = 300
IMAGES = 60


@pytest.fixture
def nodes():
    cluster = RayNodes()
    cluster.start(head=True)
    yield cluster
    cluster.close()


@pytest.fixture
def ray(installation, nodes, monkeypatch):
    """An installation whose app starts workers in the cluster alone."""
    for name, value in nodes.environment.items():
        monkeypatch.setenv(name, value)
    changes = {"max_workers": 0, "lost_after_s": 5.0, "launcher": "ray", "ray_address": nodes.address}
    installation.settings = installation.settings.model_copy(update=changes | {"launch_idle_s": 60.0})
    open_app(installation)
    return installation


def watch(installation, condition):
    """Do what the app does every few seconds, until the condition holds."""
    launcher, deadline = RayLauncher(installation.settings), time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, [row.error for row in requests(installation)]
        with installation.database.writing() as session:
            jobs.requeue_lost_of_joined(session, utc_now(), 5.0)
            for row in session.scalars(select(Launch).where(Launch.failed_at.is_not(None))):
                row.failed_at = row.requested_at.replace(year=2000)  # its pause has passed
        launcher.look_after(installation.database)
        time.sleep(0.2)


def requests(installation):
    with installation.database.reading() as session:
        return list(session.scalars(select(Launch)))


def drawn(installation, label_set):
    with installation.database.reading() as session:
        return session.scalar(select(func.count()).where(Label.label_set_id == label_set.id))


def ended(installation, label_set, job_id):
    """Return how a job ended, how many rows of masks there are, and how many images have one, and a file."""
    job = installation.job(job_id)
    with installation.database.reading() as session:
        ids = list(session.scalars(select(Label.image_id).where(Label.label_set_id == label_set.id)))
    files = installation.files.listing(stored.label_folder(label_set.id)).files
    return job.error, job.status, len(ids), len(set(ids)), len(files)


def finished(images):
    return None, JobStatus.FINISHED, images, images, images


def log_of(installation, job_id):
    return (installation.settings.data_root / stored.job_log_key(job_id)).read_text()


def given_to_nodes(installation, job_id):
    return sum(map(int, re.findall(r"(\d+) tasks were given to the cluster's nodes", log_of(installation, job_id))))


def test_each_image_is_labelled_once_where_a_node_and_then_the_head_is_killed(ray, nodes):
    first, job_id = submit_label(ray, 2, name="first")
    watch(ray, lambda: ray.job(job_id).status.ended)
    assert ended(ray, first, job_id) == finished(2)
    (worker,) = requests(ray)  # on the head, where it waits for more

    node = nodes.start(head=False)
    second, job_id = submit_label(ray, IMAGES, name="second")
    watch(ray, lambda: drawn(ray, second) or ray.job(job_id).status.ended)
    nodes.kill(node)
    assert ray.job(job_id).status == JobStatus.RUNNING
    watch(ray, lambda: ray.job(job_id).status.ended)
    assert ended(ray, second, job_id) == finished(IMAGES)
    assert given_to_nodes(ray, job_id) >= IMAGES // 4
    assert (ray.job(job_id).attempt, ray.job(job_id).worker_id) == (1, worker.id)

    third, job_id = submit_label(ray, IMAGES, name="third")
    watch(ray, lambda: drawn(ray, third) or ray.job(job_id).status.ended)
    nodes.kill(nodes.head)
    assert ray.job(job_id).status == JobStatus.RUNNING
    nodes.start(head=True)
    watch(ray, lambda: ray.job(job_id).status.ended)
    assert ended(ray, third, job_id) == finished(IMAGES)


@pytest.mark.soak
def test_predictions_and_measured_objects_of_nodes_are_those_of_one_machine(ray, nodes):
    nodes.start(head=False)
    dataset = add_discs(ray, 70, "many", size_px=64)
    run, trained = submit_train(ray, dataset)
    with ray.database.writing() as session:
        runs.update_run(session, run.id, best_epoch=1)
        jobs.request_stop(session, trained.id)
        _, alone = submissions.submit_predict(session, run.id, dataset.id)
        jobs.request_stop(session, alone.id)
    with ray.files.writing(stored.best_model_key(run.id)) as beside:
        network(ModelParams(image_size=64, depth=2, base_filters=4)).save(beside)

    def masks(result):
        set_id = result["prediction_set"]
        with ray.database.reading() as session:
            ids = sorted(session.scalars(select(Prediction.image_id).where(Prediction.prediction_set_id == set_id)))
        levels = [codec.decode_png(ray.files.read(stored.prediction_key(set_id, each))) for each in ids]
        return np.stack(levels).astype(int)

    alone.attempt = 1
    here = masks(predict.run(alone, Context(ray)))
    with ray.database.writing() as session:
        _, job = submissions.submit_predict(session, run.id, dataset.id)
    watch(ray, lambda: ray.job(job.id).status.ended)
    there = masks(ray.job(job.id).result)
    assert given_to_nodes(ray, job.id) > 0
    assert here.shape == there.shape == (70, 64, 64) and np.abs(here - there).max() <= 1
    _, job = submit(ray, "truth", dataset.id)
    watch(ray, lambda: ray.job(job.id).status.ended)
    assert ray.job(job.id).result == {"images": 70, "objects": 70} and given_to_nodes(ray, job.id) > 0
