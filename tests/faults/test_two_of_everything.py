"""Four workers on one queue, two apps on one database, two tabs on one dataset, and a deletion of what trains."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import expect

from db import datasets, jobs, submissions
from db.models import AuditEntry, Dataset, Job, JobKind, JobStatus, Label, LabelSet, Run
from engine.core.run_config import config_from
from engine.store import keys as stored
from tests.faults.invariants import broken_database, broken_files, doubled_rows, half_written
from tests.faults.rig import Rig, free_port
from tests.support.chromium import tab
from tests.support.installation import REPOSITORY, add_discs

JOBS, WORKERS = 200, 4
GATE_S = 20
PATIENCE_S = 240
OTSU = {"longest_side_px": 64}

pytestmark = pytest.mark.browser


def submit_labels(installation, dataset, count, name="set"):
    """Queue `count` jobs that each draw the masks of a mask set; return their ids."""
    with installation.database.writing() as session:
        made = [
            submissions.submit_label(session, dataset.id, f"{name} {number}", "threshold", OTSU, number, "test")
            for number in range(count)
        ]
        return [job.id for _, job in made]


def wait_for(true, what, patience_s=PATIENCE_S):
    give_up = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < give_up, f"waited in vain: {what}"
        time.sleep(0.05)


def has_open(process, path):
    with contextlib.suppress(OSError):
        return any(os.path.realpath(entry) == str(path) for entry in Path(f"/proc/{process}/fd").iterdir())
    return False


def started_in_logs(root, job_ids):
    """Return how often each job was begun, as the structured logs and the jobs' own logs tell."""
    lines = [json.loads(line) for path in (root / "logs").glob("*.jsonl") for line in path.read_text().splitlines()]
    told = Counter(line["job"] for line in lines if line["event"] == "job_started")
    own = Counter({job_id: (root / stored.job_log_key(job_id)).read_text().count("Attempt ") for job_id in job_ids})
    return Counter({job_id: told[job_id] for job_id in job_ids}), own


def ran_once(installation, job_ids):
    """Assert that each job ran once: by its row, by both logs, and by what it made."""
    with installation.database.reading() as session:
        rows = session.query(Job).filter(Job.id.in_(job_ids)).all()
        assert len(rows) == len(job_ids)
        assert {(row.status, row.attempt) for row in rows} == {(JobStatus.FINISHED, 1)}, [row.error for row in rows]
        labels = Counter(session.scalars(session.query(Label.label_set_id).statement))
        images = {row.result["images"] for row in rows}
        assert {labels[row.payload["label_set"]] for row in rows} == images
    for told in started_in_logs(installation.files.root, job_ids):
        assert set(told.values()) == {1}, told.most_common(3)
    root = installation.files.root
    assert broken_database(root) + doubled_rows(root) + broken_files(root) + half_written(root) == []
    return {row.worker for row in rows}


def test_four_workers_on_a_queue_of_two_hundred_jobs_run_each_once(installation):
    settings = installation.settings.model_copy(update={"max_workers": WORKERS})
    dataset = add_discs(installation, 1)
    job_ids = submit_labels(installation, dataset, JOBS)
    path = (installation.files.root / "app.db").resolve()
    # Nobody can claim while this holds the database. It is let go once all four stand before it, or soon
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as gate:
        gate.execute("BEGIN IMMEDIATE")
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "engine.work.worker"],
                cwd=REPOSITORY,
                env=settings.as_environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(WORKERS)
        ]
        try:
            give_up = time.monotonic() + GATE_S
            while time.monotonic() < give_up and not all(has_open(worker.pid, path) for worker in workers):
                time.sleep(0.05)
        finally:
            gate.execute("ROLLBACK")
    assert [worker.wait(PATIENCE_S) for worker in workers] == [0] * WORKERS
    names = ran_once(installation, job_ids)
    assert len(names) > 1, "nothing was contended for"


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """An installation whose app runs; each test leaves it empty."""
    with Rig(tmp_path_factory.mktemp("two")) as started:
        started.start_app()
        yield started


@pytest.fixture
def page(browser):
    with tab(browser) as opened:
        yield opened


def no_error(page):
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_two_apps_on_one_database_run_each_job_once_and_neither_errs_when_the_other_deletes(rig, page):
    port = free_port()
    other = rig.start_another(port)
    try:
        dataset = add_discs(rig.installation, 1)
        job_ids = submit_labels(rig.installation, dataset, 30)  # no launcher: both apps see them and both start workers
        wait_for(lambda: all(rig.job(job_id).status.ended for job_id in job_ids), "the jobs have ended")
        ran_once(rig.installation, job_ids)

        page.goto(f"{rig.address}/datasets?dataset={dataset.id}")
        page.get_by_role("tab", name="Truth").wait_for()
        second = page.context.new_page()
        second.goto(f"http://127.0.0.1:{port}/datasets?dataset={dataset.id}")
        second.get_by_role("button", name="Delete").click()
        second.get_by_role("dialog").get_by_role("button", name="Delete permanently").click()
        second.get_by_text("Drop images, a folder or a zip here").wait_for()
        page.get_by_role("tab", name="Truth").click()
        page.get_by_text("This dataset does not exist any more.").wait_for()
        for each in (page, second):
            no_error(each)
    finally:
        other.send_signal(signal.SIGTERM)
        other.wait(60)
    with rig.installation.database.reading() as session:
        assert session.query(Dataset).count() == session.query(LabelSet).count() == session.query(Label).count() == 0
    assert not list((rig.root / "labels").rglob("*.png"))
    assert broken_database(rig.root) == []


def test_what_one_tab_deletes_the_other_is_told_in_a_sentence(rig, page):
    dataset = add_discs(rig.installation, 3)
    address = f"{rig.address}/datasets?dataset={dataset.id}"
    second = page.context.new_page()
    third = page.context.new_page()
    for each in (page, second, third):
        each.goto(address)
        each.get_by_role("button", name="Delete").wait_for()
    second.get_by_role("button", name="Delete").click()
    second.get_by_role("dialog").get_by_role("button", name="Delete permanently").wait_for()
    third.get_by_role("tab", name="Add images").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete permanently").click()
    page.get_by_text("Drop images, a folder or a zip here").wait_for()
    second.get_by_role("dialog").get_by_role("button", name="Delete permanently").click()  # of what is gone
    third.get_by_role("tab", name="Truth").click()
    for each in (second, third):
        each.get_by_text("Drop images, a folder or a zip here").wait_for()
        no_error(each)
    with rig.installation.database.reading() as session:
        told = session.query(AuditEntry).filter_by(object_id=dataset.id, action="deleted").all()
    assert len(told) == 1


def test_a_dataset_that_trains_is_not_deleted_until_it_is_stopped(rig, page):
    dataset = add_discs(rig.installation, 12)
    values = {
        "training": {"epochs": 10_000},  # it does not end before it is stopped
        "model": {"image_size": 32, "depth": 1, "base_filters": 4},
        "early_stopping": {"enabled": False},
    }
    config = config_from("fast", values).model_dump(mode="json")

    def add(session):
        return submissions.submit_train(session, dataset.id, None, "run", "fast", config, "test")[1]

    job_id = rig.submit(add)
    with rig.installation.database.reading() as session:
        run_id = session.query(Run.id).scalar()
    wait_for(lambda: rig.job(job_id).progress_phase == "training", "it trains")
    page.goto(f"{rig.address}/datasets?dataset={dataset.id}")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("in use by a job (train). Stop it or wait for it to end")).to_be_visible()
    expect(dialog.get_by_role("button", name="Delete permanently")).to_have_count(0)
    with (
        pytest.raises(datasets.InUse, match=r"in use by a job \(train\)"),
        rig.installation.database.writing() as session,
    ):
        datasets.delete_dataset(session, dataset.id)
    assert rig.job(job_id).status == JobStatus.RUNNING

    page.goto(f"{rig.address}/runs?run={run_id}")
    page.get_by_role("button", name=re.compile("Stop$")).click()
    wait_for(lambda: rig.job(job_id).status.ended, "the run has stopped")
    assert rig.job(job_id).status == JobStatus.STOPPED
    page.goto(f"{rig.address}/datasets?dataset={dataset.id}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete permanently").click()
    page.get_by_text("Drop images, a folder or a zip here").wait_for()
    no_error(page)
    with rig.installation.database.reading() as session:
        assert session.query(Dataset).count() == session.query(Run).count() == 0
        assert jobs.active(session) == []
        assert session.query(Job).filter(Job.kind == JobKind.TRAIN).one().status == JobStatus.STOPPED
    assert not list((rig.root / "runs").iterdir()) and not list((rig.root / "datasets").iterdir())
