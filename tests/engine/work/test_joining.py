"""Real workers that join: other processes, another path to the same files, SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta

import psutil
import psycopg
import pytest
from sqlalchemy import select

from db import jobs, recipes, submissions, workers
from db.columns import utc_now
from db.models import JobStatus, Worker, WorkerKind
from db.workers import Needs
from engine import VERSION
from engine.care.belonging import remember_start
from engine.labelling.base import find_method
from engine.work.joining import CannotJoin, JoinedWorker, refuse_strangers
from engine.work.registration import new_worker
from engine.work.worker import kinds_of, work
from tests.support.installation import REPOSITORY, add_discs
from tests.support.workers import PATIENCE_S, kill_worker, wait_until

both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def shared(installation):
    """An installation that its app has opened, and whose jobs are lost soon."""
    installation.settings = installation.settings.model_copy(update={"lost_after_s": 5.0})
    open_app(installation)
    return installation


def open_app(installation, version=VERSION, host=None):
    with installation.database.writing() as session:
        start = workers.register_app(session, host or socket.gethostname(), 1, version)
    remember_start(installation.files, start)


@pytest.fixture
def join(shared, tmp_path):
    """Join with another path to the same folder; what still runs at the end is killed."""
    link = tmp_path / "mounted"
    link.symlink_to(shared.settings.data_root)
    begun = []

    def start(*options):
        environment = shared.settings.as_environment() | {"DATA_ROOT": str(link)}
        if shared.database.is_sqlite:
            environment["DATABASE_URL"] = ""
        command = [sys.executable, "-m", "engine", "worker", "--join", *options]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        return process

    yield start
    for process in begun:
        kill_worker(process)
        process.stderr.close()


def submit_label(installation, images=4, name="masks", **needs):
    dataset = add_discs(installation, images, size_px=256, name=f"images of {name}")
    params = find_method("kmeans").params().model_dump()
    with installation.database.writing() as session:
        label_set, job = submissions.submit_label(session, dataset.id, name, "kmeans", params, 0, "test")
        jobs.require(job, Needs(**needs))
    return label_set, job.id


def status(installation, job_id):
    return installation.job(job_id).status


def drawn(installation, label_set):
    with installation.database.reading() as session:
        return len(recipes.labelled_images(session, label_set.id))


def joined(installation):
    with installation.database.reading() as session:
        return list(session.scalars(select(Worker).where(Worker.kind == WorkerKind.JOINED)))


@both
def test_a_joined_worker_takes_what_asks_for_its_tag_and_leaves_its_row_when_it_ends(shared, join):
    label_set, job_id = submit_label(shared, tag="big")
    assert work(shared.database, shared.settings) == []  # a worker of this machine
    process = join("--slots", "2", "--tag", "big")
    wait_until(lambda: joined(shared))
    (row,) = joined(shared)
    assert (row.host, row.pid, row.version) == (socket.gethostname(), process.pid, VERSION)
    assert (row.slots, row.tags) == (2, ["big"]) and row.memory_mb > 0 and row.cores > 0
    wait_until(lambda: status(shared, job_id).ended)
    job = shared.job(job_id)
    assert (job.status, job.worker_id, drawn(shared, label_set)) == (JobStatus.FINISHED, row.id, 4)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert joined(shared) == []


@both
def test_a_killed_machine_loses_nothing_and_another_resumes_its_job(shared, join):
    label_set, job_id = submit_label(shared, 20, tag="big")
    victim = join("--tag", "big")
    wait_until(lambda: drawn(shared, label_set) or status(shared, job_id).ended)
    kill_worker(victim)
    first = shared.job(job_id).worker_id
    join("--tag", "big")
    wait_until(lambda: status(shared, job_id).ended)
    job = shared.job(job_id)
    assert (job.status, drawn(shared, label_set)) == (JobStatus.FINISHED, 20)
    assert job.attempt == 1 or (job.attempt, job.worker_id != first) == (2, True)


@both
def test_a_worker_that_is_stopped_hands_its_job_back(shared, join):
    label_set, job_id = submit_label(shared, 20)
    process = join()
    wait_until(lambda: drawn(shared, label_set) or status(shared, job_id).ended)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert status(shared, job_id) in (JobStatus.QUEUED, JobStatus.FINISHED)
    work(shared.database, shared.settings)
    assert (status(shared, job_id), drawn(shared, label_set)) == (JobStatus.FINISHED, 20)


def test_whose_process_was_killed_takes_another_job_only_in_a_free_slot(shared, monkeypatch):
    started = []
    monkeypatch.setattr("engine.work.joining.start_worker", lambda *_: started.append(Ended()) or started[-1])
    _, held = submit_label(shared)
    row = new_worker(WorkerKind.JOINED)
    supervisor = JoinedWorker(shared.database, shared.settings, row, kinds_of(row))
    supervisor._turn()
    assert len(started) == 1
    with shared.database.writing() as session:
        assert jobs.claim(session, "a process", 1, 5.0, None, row).id == held
    supervisor._collect()
    submit_label(shared, name="more")
    supervisor._turn()
    assert len(started) == 1
    with shared.database.writing() as session:  # left for a person
        jobs.find(session, held).attempt = jobs.AUTOMATIC_ATTEMPTS
        jobs.find(session, held).heartbeat_at = utc_now() - timedelta(minutes=1)
    supervisor._turn()
    supervisor._turn()
    assert len(started) == 2


class Ended:
    returncode = 0

    def poll(self):
        return 0


def test_asked_twice_it_ends_at_once_and_its_job_goes_back(shared, join):
    label_set, job_id = submit_label(shared, 40)
    process = join()
    wait_until(lambda: drawn(shared, label_set) or status(shared, job_id).ended)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert joined(shared) == []
    assert status(shared, job_id) in (JobStatus.QUEUED, JobStatus.FINISHED)


def test_what_its_killed_supervisor_left_finishes_its_job_and_claims_no_other(shared, join):
    label_set, job_id = submit_label(shared, 20)
    victim = join()
    wait_until(lambda: drawn(shared, label_set) or status(shared, job_id).ended)
    (below,) = psutil.Process(victim.pid).children()
    victim.kill()
    victim.wait()
    with shared.database.writing() as session:  # as it is after LOST_AFTER_S
        session.get_one(Worker, shared.job(job_id).worker_id).heartbeat_at = utc_now() - timedelta(minutes=1)
    _, more = submit_label(shared, name="more")
    with contextlib.suppress(psutil.NoSuchProcess):
        below.wait(PATIENCE_S)
    assert (status(shared, job_id), shared.job(job_id).attempt) == (JobStatus.FINISHED, 1)
    assert drawn(shared, label_set) == 20
    assert status(shared, more) == JobStatus.QUEUED


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_lost_connections_neither_end_a_worker_nor_fail_its_job(shared, join, postgresql):
    label_set, job_id = submit_label(shared, 20)
    process = join()
    wait_until(lambda: drawn(shared, label_set) or status(shared, job_id).ended)
    name = shared.database.url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    wait_until(lambda: status(shared, job_id).ended)
    assert (status(shared, job_id), drawn(shared, label_set)) == (JobStatus.FINISHED, 20)
    assert process.poll() is None


def test_an_updated_app_ends_a_joined_worker_with_a_sentence(shared, join):
    process = join()
    wait_until(lambda: joined(shared))
    open_app(shared, "99.0")
    assert process.wait(PATIENCE_S) == 1
    assert "The app is Maskloom 99.0, this is" in process.stderr.read()
    assert joined(shared) == []


def refusal(installation):
    with pytest.raises(CannotJoin) as refused:
        refuse_strangers(installation.database, installation.files)
    return str(refused.value)


@both
def test_whoever_does_not_belong_is_refused_with_a_sentence(installation, tmp_path):
    assert "Start the app once" in refusal(installation)
    open_app(installation, "99.0")
    assert "Maskloom 99.0" in refusal(installation)
    open_app(installation)
    refuse_strangers(installation.database, installation.files)
    if installation.database.is_sqlite:
        open_app(installation, host="another")
        assert "SQLite, which serves one machine ('another')" in refusal(installation)
        open_app(installation)
    remember_start(installation.files, "0" * 32)
    assert "DATA_ROOT is not that of this database" in refusal(installation)
    installation.files.delete("app.json")
    assert "DATA_ROOT is not that of this database" in refusal(installation)


@pytest.mark.parametrize(("tables", "words"), [("0013", "by an older Maskloom (tables 0013"), ("0999", "by a newer")])
def test_tables_of_another_version_are_refused_and_left_as_they_are(installation, tables, words):
    open_app(installation)
    with installation.database.bind.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{tables}'")
    assert words in refusal(installation)
    assert installation.database.revision() == tables


def test_a_folder_that_is_not_there_is_no_reason_to_make_one(tmp_path):
    environment = os.environ | {"DATA_ROOT": str(tmp_path / "nowhere"), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "engine", "worker", "--join"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert (done.returncode, "DATA_ROOT is no folder" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
