"""The label job stopped, crashed, killed and resumed."""

import multiprocessing
import os
import signal
import subprocess
import threading
import time

import pytest

from db import datasets, jobs, recipes
from db.columns import utc_now
from db.models import JobStatus, Label, LabelSet
from engine.labelling import job as label
from engine.store import keys as stored
from engine.work.context import JobFailed, JobStopped
from engine.work.worker import work
from tests.support.installation import add_discs
from tests.support.label_job import CLUSTERS, rows_of, stored_set, submit
from tests.support.training_job import Context
from tests.support.workers import start_worker, wait_until


def test_a_stop_while_looking_leaves_nothing_and_the_job_starts_over(installation, one_core):
    dataset = add_discs(installation, 12)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    with pytest.raises(JobStopped) as stopped:
        label.run(job, Context(installation, stop_after=3))
    assert stopped.value.result == {"images": 0}
    assert stored_set(installation, label_set).state is None
    assert rows_of(installation, label_set)[0] == {}
    assert label.run(job, Context(installation))["looked_at"] == 12
    assert len(rows_of(installation, label_set)[0]) == 12


def test_a_stop_while_drawing_keeps_the_state_and_the_job_goes_on_with_it(installation, one_core):
    dataset = add_discs(installation, 6)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    with pytest.raises(JobStopped) as stopped:
        label.run(job, Context(installation, stop_after=10))  # 7 while looking
    count = stopped.value.result["images"]
    assert 0 < count < 6
    assert len(rows_of(installation, label_set)[0]) == count
    state = stored_set(installation, label_set).state
    assert state["clusters"]
    assert label.run(job, Context(installation))["looked_at"] == 0
    assert stored_set(installation, label_set).state == state
    assert len(rows_of(installation, label_set)[0]) == 6


def test_a_retry_deletes_partial_masks_and_leaves_the_file_that_an_export_is_writing(installation, one_core):
    label_set, job = submit(installation, add_discs(installation, 2))
    folder = installation.files.path(stored.label_folder(label_set.id))
    partial_mask = folder / f"{'a' * 32}.1234abcd.part.png"
    partial_export = folder / "exports" / "coco" / f"{'b' * 32}.1234abcd.part.json"
    for path in (partial_mask, partial_export):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    job.attempt = 2
    label.run(job, Context(installation))
    assert not partial_mask.exists() and partial_export.exists()


class Crash(BaseException):
    """Stands for a process that ends between two statements."""


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["set_state", "add_labels", "existing_labels"])
def test_a_crash_beside_any_write_is_mended_by_the_next_attempt(installation, one_core, monkeypatch, call, after):
    monkeypatch.setattr(label, "BATCH", 2)
    dataset = add_discs(installation, 5)
    whole, job = submit(installation, dataset, "undisturbed", method="dataset_clusters", values=CLUSTERS, seed=1)
    label.run(job, Context(installation))
    expected = rows_of(installation, whole), stored_set(installation, whole).state
    with installation.database.writing() as session:
        session.delete(session.get_one(LabelSet, whole.id))  # so that nothing can be copied
    label_set, job = submit(installation, dataset, "disturbed", method="dataset_clusters", values=CLUSTERS, seed=1)
    context = Context(installation)
    done = getattr(recipes, call)

    def crash(*arguments):
        if after:
            done(*arguments)
        raise Crash

    with monkeypatch.context() as disturbed, pytest.raises(Crash):
        disturbed.setattr(recipes, call, crash)
        label.run(job, context)
    label.run(job, Context(installation))
    assert (rows_of(installation, label_set), stored_set(installation, label_set).state) == expected


def test_a_set_that_older_code_began_is_finished_but_nobody_copies_from_it(installation, one_core):
    dataset = add_discs(installation, 3)
    first, job = submit(installation, dataset)
    label.run(job, Context(installation))
    with installation.database.writing() as session:
        session.get_one(LabelSet, first.id).recipe_key = None
        session.delete(session.query(Label).filter_by(label_set_id=first.id).first())
    label.run(job, Context(installation))
    assert len(rows_of(installation, first)[0]) == 3
    assert stored_set(installation, first).recipe_key is None
    assert label.run(submit(installation, dataset, "again")[1], Context(installation))["copied"] == 0


def test_ticks_that_name_no_cluster_end_in_a_sentence(installation, one_core):
    dataset = add_discs(installation, 3)
    _, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS | {"ticked": "31"})
    with pytest.raises(JobFailed, match="'ticked' names cluster 31"):
        label.run(job, Context(installation))


def test_what_cannot_be_learned_from_ends_in_a_sentence(installation, one_core, monkeypatch):
    def refuse(*arguments):
        raise ValueError("They are all of one colour.")

    monkeypatch.setattr(label, "fit_state", refuse)
    dataset = add_discs(installation, 2)
    _, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    with pytest.raises(JobFailed, match=r"cannot learn from these images\. They are all of one colour"):
        label.run(job, Context(installation))


def test_an_image_that_cannot_be_read_is_named_and_the_others_stay_drawn(installation):
    dataset = add_discs(installation, 6)
    label_set, job = submit(installation, dataset)
    with installation.database.reading() as session:
        broken = datasets.images(session, dataset.id)[3]
    installation.files.path(stored.image_key(dataset.id, broken.id)).write_bytes(b"no picture")
    with pytest.raises(JobFailed, match=rf"'{broken.name}' cannot be labelled with 'threshold'\. "):
        label.run(job, Context(installation))
    assert broken.id not in rows_of(installation, label_set)[0]


@pytest.mark.slow
def test_a_killed_drawing_process_ends_in_a_sentence_and_the_job_goes_on_later(installation):
    dataset = add_discs(installation, 30, size_px=256)
    label_set, job = submit(installation, dataset, method="kmeans")
    context, ended = Context(installation), threading.Event()

    def kill_one():
        while not ended.is_set():
            if any(entry.done for entry in context.said):
                for process in multiprocessing.active_children():
                    os.kill(process.pid, signal.SIGKILL)
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        with pytest.raises(JobFailed, match="memory ran out"):
            label.run(job, context)
    finally:
        ended.set()
        killer.join()
    label.run(job, Context(installation))
    assert len(rows_of(installation, label_set)[0]) == 30


@pytest.mark.slow
def test_a_worker_killed_while_looking_leaves_no_process_and_another_does_the_job(installation):
    dataset = add_discs(installation, 30, size_px=192)
    label_set, job = submit(installation, dataset, method="dataset_clusters", values=CLUSTERS)
    worker = start_worker(installation)
    wait_until(lambda: installation.job(job.id).progress_done > 0)
    assert installation.job(job.id).progress_phase == label.LOOKING
    children = children_of(worker.pid)
    assert children
    worker.kill()
    worker.wait()
    wait_until(lambda: not any(is_alive(child) for child in children))
    with installation.database.writing() as session:
        jobs.requeue_lost(session, utc_now(), lost_after_s=-1)
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED
    assert len(rows_of(installation, label_set)[0]) == 30


def children_of(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]


def is_alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")
