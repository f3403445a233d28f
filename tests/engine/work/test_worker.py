"""Real worker processes on a real queue."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from db import datasets, jobs, recipes, runs, submissions, warm
from db.columns import utc_now
from db.models import Job, JobStatus, PredictionSet
from engine.imaging import codec
from engine.store import keys as stored
from engine.work.failures import explain
from engine.work.launchers import launcher
from engine.work.priority import NICENESS
from engine.work.worker import work
from tests.support.installation import add_discs
from tests.support.network import add_network
from tests.support.workers import PATIENCE_S, start_worker, wait_until


def submit_label(installation, dataset, name="otsu", method="threshold"):
    from engine.labelling.base import find_method

    params = find_method(method).params().model_dump()
    with installation.database.writing() as session:
        return submissions.submit_label(session, dataset.id, name, method, params, 0, "test")


def test_a_worker_process_draws_every_mask_and_exits(installation):
    dataset = add_discs(installation, 5)
    label_set, job = submit_label(installation, dataset)
    assert start_worker(installation).wait(PATIENCE_S) == 0
    job = installation.job(job.id)
    assert (job.status, job.error, job.progress_done, job.progress_total) == (JobStatus.FINISHED, None, 5, 5)
    with installation.database.reading() as session:
        summary = recipes.summary(session, label_set.id)
        image_ids = recipes.labelled_images(session, label_set.id)
    assert summary.images == summary.scored == 5
    assert summary.dice > 0.95
    for image_id in image_ids:
        assert codec.decode_png(installation.files.read(stored.label_key(label_set.id, image_id))).shape == (64, 64)
    assert "Ended: finished" in installation.files.read(stored.job_log_key(job.id)).decode()


@pytest.mark.slow
def test_the_launcher_starts_a_worker_that_takes_the_whole_queue(installation):
    dataset = add_discs(installation, 1)
    submitted = [submit_label(installation, dataset, f"set {number}")[1].id for number in range(3)]
    launcher(installation.settings).submit(submitted[0])
    wait_until(lambda: all(installation.job(job_id).status == JobStatus.FINISHED for job_id in submitted))


@pytest.mark.slow
def test_a_worker_beside_the_app_gives_way_to_it(installation):
    _, job = submit_label(installation, add_discs(installation, 40, size_px=256), method="kmeans")
    launcher(installation.settings).submit(job.id)
    wait_until(lambda: installation.job(job.id).worker)
    process = psutil.Process(int(installation.job(job.id).worker.rpartition(":")[2]))
    assert process.nice() == NICENESS
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.is_file():
        assert group.read_text().endswith(f"nice {NICENESS}\n")
    process.kill()


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_another_finishes_the_job(installation):
    dataset = add_discs(installation, 20, size_px=256)
    label_set, job = submit_label(installation, dataset, method="kmeans")

    def drawn():
        with installation.database.reading() as session:
            return recipes.labelled_images(session, label_set.id)

    victim = start_worker(installation)
    wait_until(lambda: drawn() or installation.job(job.id).status.ended)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    kept = drawn()
    assert kept
    with installation.database.writing() as session:
        jobs.requeue_lost(session, utc_now(), lost_after_s=-1)
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED
    assert kept < drawn() or len(kept) == 20
    assert len(drawn()) == 20


@pytest.mark.slow
def test_a_job_that_cannot_work_fails_with_its_sentence(installation):
    dataset = add_discs(installation, 1)
    _, job = submit_label(installation, dataset)
    installation.files.delete(stored.dataset_folder(dataset.id))
    assert start_worker(installation).wait(PATIENCE_S) == 0
    job = installation.job(job.id)
    assert job.status == JobStatus.FAILED
    assert "is gone" in job.error
    assert "Traceback" in installation.files.read(stored.job_log_key(job.id)).decode()


def test_no_job_starts_on_a_full_disk(installation):
    dataset = add_discs(installation, 2)
    _, job = submit_label(installation, dataset)
    work(installation.database, installation.settings.model_copy(update={"free_disk_floor_mb": 10**9}))
    assert "FREE_DISK_FLOOR_MB" in installation.job(job.id).error


@pytest.mark.slow
def test_a_stop_request_ends_a_running_job_and_keeps_what_is_drawn(installation):
    dataset = add_discs(installation, 20, size_px=256)
    label_set, job = submit_label(installation, dataset, method="kmeans")
    worker = start_worker(installation)
    wait_until(lambda: installation.job(job.id).progress_done > 0 or installation.job(job.id).status.ended)
    with installation.database.writing() as session:
        jobs.request_stop(session, job.id)
    assert worker.wait(PATIENCE_S) == 0
    job = installation.job(job.id)
    assert job.status in (JobStatus.STOPPED, JobStatus.FINISHED)
    with installation.database.reading() as session:
        drawn = len(recipes.labelled_images(session, label_set.id))
    assert drawn == (job.result["images"] if job.status == JobStatus.STOPPED else 20)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "disk is full"),
        (OSError(122, "Disk quota exceeded"), "disk is full"),
        (MemoryError(), "Memory ran out"),
        (ZeroDivisionError("division by zero"), "Unexpected error, ZeroDivisionError"),
    ],
)
def test_every_failure_becomes_a_sentence(error, words):
    assert words in explain(error)


def sqlite_error(statement, **limits):
    """Return the error that SQLite raises, as SQLAlchemy wraps it."""
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.OperationalError) as raised:
        database.execute("CREATE TABLE t (x)")
        for name, value in limits.items():
            database.execute(f"PRAGMA {name} = {value}")
        database.execute(statement)
    error = OperationalError(statement, {}, raised.value)
    error.__cause__ = raised.value
    return error


def test_sqlite_says_in_its_own_way_that_the_disk_is_full_or_the_database_locked(tmp_path):
    full = sqlite_error("INSERT INTO t VALUES (zeroblob(1000000))", max_page_count=4)
    assert "disk is full" in explain(full)
    with (
        closing(sqlite3.connect(tmp_path / "a.db")) as holder,
        closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as other,
    ):
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as raised:
            other.execute("BEGIN EXCLUSIVE")
    assert "kept the database locked" in explain(raised.value)


@pytest.mark.parametrize("error", [psycopg.OperationalError("connection failed"), psycopg.errors.AdminShutdown("end")])
def test_a_database_server_that_is_gone_is_a_sentence(error):
    assert explain(error).startswith("The database could not be reached.")


def test_tensorflow_has_its_own_name_for_a_full_disk(installation):
    class ResourceExhaustedError(Exception):
        pass

    assert "disk is full" in explain(ResourceExhaustedError("events.v2; No space left on device"))


def test_a_full_disk_is_no_fault_of_the_image_that_was_drawn_then(installation, monkeypatch):
    _, job = submit_label(installation, add_discs(installation, 1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.store.local.LocalStore.write", full)
    work(installation.database, installation.settings)
    assert installation.job(job.id).error.startswith("The disk is full")


def test_how_a_job_ended_is_stored_once_the_database_takes_it(installation, one_core, monkeypatch):
    _, job = submit_label(installation, add_discs(installation, 2))
    tries, finish = [], jobs.finish

    def busy_at_first(*arguments):
        tries.append(arguments)
        if len(tries) < 3:
            raise OperationalError("UPDATE jobs", {}, Exception("database is locked"))
        return finish(*arguments)

    monkeypatch.setattr(jobs, "finish", busy_at_first)
    monkeypatch.setattr("engine.work.worker.END_RETRY_S", 0.01)
    work(installation.database, installation.settings)
    assert len(tries) == 3
    assert installation.job(job.id).status == JobStatus.FINISHED


def test_a_bar_or_a_log_that_cannot_be_written_fails_no_job(installation, one_core, monkeypatch):
    dataset = add_discs(installation, 2)
    submitted = [submit_label(installation, dataset, name)[1] for name in ("first", "second")]
    log = installation.files.path(stored.job_log_key(submitted[0].id))
    log.mkdir(parents=True)  # a folder in its place: it cannot be opened

    def refuse(*_):
        raise OperationalError("UPDATE jobs", {}, Exception("database is locked"))

    monkeypatch.setattr(jobs, "heartbeat", refuse)
    work(installation.database, installation.settings)
    assert [installation.job(job.id).status for job in submitted] == [JobStatus.FINISHED] * 2


def test_what_led_to_a_failure_tells_more_than_its_last_error():
    error = RuntimeError("cannot close the file")
    error.__context__ = OSError(28, "No space left on device")
    assert "disk is full" in explain(error)


def test_a_database_error_is_told_without_its_sql():
    assert "SELECT" not in explain(OperationalError("SELECT secrets", {}, Exception("disk I/O error")))


def with_network(installation, name="net"):
    return add_network(installation, add_discs(installation, 3, name=f"images of {name}"), name)


def ask_for(installation, run):
    with installation.database.writing() as session:
        return warm.submit(session, run.id, utc_now(), 4, 60)


def predict(installation, run):
    with installation.database.writing() as session:
        return submissions.submit_predict(session, run.id, run.dataset_id)[1]


def ready(installation):
    with installation.database.reading() as session:
        return warm.readiness(session, utc_now(), 60)


def finished(installation, job):
    return installation.job(job.id).status == JobStatus.FINISHED


@pytest.fixture
def lingering(installation):
    """A real worker that holds the network of a run: (the process, the run)."""
    run = with_network(installation)
    ask_for(installation, run)
    worker = start_worker(installation)
    wait_until(lambda: ready(installation).worker or worker.poll() is not None)
    assert ready(installation).run_ids == (run.id,)
    yield worker, run
    worker.kill()
    worker.wait()


@pytest.mark.slow
def test_a_worker_that_holds_a_network_predicts_again_and_leaves_other_work_to_others(installation, lingering):
    worker, run = lingering
    other = with_network(installation, "another")
    _, label = submit_label(installation, add_discs(installation, 1))
    submitted = [predict(installation, run), predict(installation, other)]
    wait_until(lambda: all(finished(installation, job) for job in submitted))
    assert {installation.job(job.id).worker.rpartition(":")[2] for job in submitted} == {str(worker.pid)}
    assert installation.job(submitted[0].id).result["images"] == 3
    wait_until(lambda: set(ready(installation).run_ids) == {run.id, other.id})
    assert worker.poll() is None
    assert installation.job(label.id).status == JobStatus.QUEUED
    assert start_worker(installation).wait(PATIENCE_S) == 0
    assert finished(installation, label)
    worker.terminate()
    assert worker.wait(PATIENCE_S) == 0
    assert ready(installation).worker is None


@pytest.mark.slow
def test_a_worker_that_holds_a_network_ends_when_its_registration_is_deleted(installation, lingering):
    worker, _ = lingering
    with installation.database.writing() as session:
        warm.dismiss(session)
    assert worker.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_a_killed_worker_that_held_a_network_leaves_the_queue_to_others(installation, lingering):
    worker, run = lingering
    worker.kill()
    worker.wait()
    job = predict(installation, run)
    assert start_worker(installation).wait(PATIENCE_S) == 0  # not asked to get ready, it ends after the prediction
    assert finished(installation, job)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.5])
def test_a_worker_ends_when_nothing_came_for_its_time(installation, seconds):
    installation.settings = installation.settings.model_copy(update={"warm_worker_s": seconds})
    job = ask_for(installation, with_network(installation))
    assert start_worker(installation).wait(PATIENCE_S) == 0
    with installation.database.reading() as session:
        assert jobs.find(session, job.id) is None or installation.job(job.id).status == JobStatus.FINISHED
    assert ready(installation).worker is None
    assert not installation.files.exists(stored.job_log_key(job.id))


def test_a_network_that_learned_more_is_loaded_anew(installation):
    from engine.network import loaded as kept_networks

    run = with_network(installation)
    first = kept_networks.network_of(run.id, installation.files)
    assert kept_networks.network_of(run.id, installation.files) is first
    first.model.save(installation.files.path(stored.best_model_key(run.id)))
    assert kept_networks.network_of(run.id, installation.files) is not first
    others = [with_network(installation, name) for name in ("second", "third")]
    for other in others:
        kept_networks.network_of(other.id, installation.files)
    assert kept_networks.run_ids() == [other.id for other in others]
    kept_networks.forget()


@pytest.mark.slow
def test_two_networks_predict_the_same_new_images_in_one_job(installation):
    first, second = with_network(installation, "first"), with_network(installation, "second")
    target = add_discs(installation, 4, name="new")
    with installation.database.writing() as session:
        _, job = submissions.submit_predict(session, first.id, target.id, also=[second.id])
    work(installation.database, installation.settings)
    assert installation.job(job.id).error is None
    with installation.database.reading() as session:
        sets = session.query(PredictionSet).filter_by(dataset_id=target.id).all()
        assert {(found.run_id, found.job_id) for found in sets} == {(first.id, job.id), (second.id, job.id)}
        assert [runs.prediction_count(session, found.id) for found in sets] == [4, 4]
        with pytest.raises(datasets.InUse):
            session.get_one(Job, job.id).status = JobStatus.RUNNING
            runs.delete_run(session, second.id)
