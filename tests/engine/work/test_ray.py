"""A real Ray cluster of two nodes with one core each: workers as actors, tasks on nodes, and nodes that are killed."""

from __future__ import annotations

import os
import time

import pytest
from sqlalchemy import func, select

from db import jobs
from db.columns import utc_now
from db.models import JobStatus, Label, Launch
from engine.store import keys as stored
from engine.work.launchers.ray import RayLauncher
from tests.engine.work.test_joining import open_app, submit_label
from tests.support.ray_nodes import RayNodes

pytestmark = [pytest.mark.slow]
PATIENCE_S = 300


@pytest.fixture(scope="module")
def nodes():
    cluster = RayNodes()
    yield cluster
    cluster.close()


@pytest.fixture
def ray(installation, nodes, monkeypatch):
    """An installation whose app starts workers in the cluster alone."""
    for name, value in nodes.environment.items():
        monkeypatch.setenv(name, value)
    changes = {"max_workers": 0, "lost_after_s": 5.0, "launcher": "ray", "ray_address": nodes.address}
    installation.settings = installation.settings.model_copy(update=changes | {"launch_idle_s": 2.0})
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


def complete(installation, label_set, job_id, images):
    job = installation.job(job_id)
    files = installation.files.listing(stored.label_folder(label_set.id)).files
    return (
        job.error,
        job.status,
        drawn(installation, label_set),
        len(files) == (None, JobStatus.FINISHED, images, images),
    )


def test_a_job_runs_on_both_nodes_and_ends_right_where_one_is_killed(ray, nodes):
    nodes.start(head=True)
    first, job_id = submit_label(ray, 2, name="first")
    watch(ray, lambda: ray.job(job_id).status.ended)
    second, job_id = submit_label(ray, 40, name="second")
    node = nodes.start(head=False)
    watch(ray, lambda: ray.job(job_id).status.ended)
    print((ray.settings.data_root / stored.job_log_key(job_id)).read_text())
    assert 0
