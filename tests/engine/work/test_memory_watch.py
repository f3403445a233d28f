"""The limit on a job's memory: what it decides, what it measures, and how a real job ends by it."""

import subprocess
import sys

import pytest

from db import runs
from db.models import JobStatus
from engine.network.inference import load_model
from engine.store import keys as stored
from engine.work.memory_watch import GRACE_S, MemoryWatch, child_processes, held_bytes
from engine.work.worker import work
from tests.support.installation import REPOSITORY, add_discs
from tests.support.training_job import submit_train

MB = 1_000_000


def watch(*held_mb, limit_mb=1000):
    readings = iter(held_mb)
    return MemoryWatch(limit_mb, lambda: int(next(readings) * MB))


def test_a_job_is_asked_to_stop_and_ended_only_if_that_does_not_help():
    watched = watch(900, 1100, 1100, 1100, 900)
    assert watched.check(0) == "fine" and watched.sentence == ""
    assert watched.check(10) == "stop"
    for words in ("1,100 MB", "1,000 MB", "MEMORY_PER_JOB_MB", "What was finished is kept"):
        assert words in watched.sentence
    assert watched.check(10 + GRACE_S) == "stop"
    assert watched.check(11 + GRACE_S) == "end"
    assert watched.check(12 + GRACE_S) == "stop"


def test_a_job_that_runs_away_is_ended_at_once():
    assert watch(1600).check(0) == "end"


def test_no_limit_ends_nothing():
    assert MemoryWatch(0, lambda: 10**15).check(0) == "fine"


HOLD = f"""
import numpy as np
kept = np.ones({200 * MB}, np.uint8)
print(kept.sum(), flush=True)
input()
"""


@pytest.mark.slow
def test_memory_of_processes_below_counts():
    before = held_bytes()
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline(), "it ended before it held anything"
        assert child.pid in {process.pid for process in child_processes()}
        assert held_bytes() - before > 200 * MB
        child.communicate(b"\n")


def run_worker(installation, limit_mb):
    current = installation.settings.model_copy(update={"memory_per_job_mb": limit_mb})
    return subprocess.run(
        [sys.executable, "-m", "engine.work.worker"],
        cwd=REPOSITORY,
        env=current.as_environment(),
        timeout=240,
        check=False,
    )


@pytest.mark.slow
def test_a_job_that_needs_far_more_than_its_limit_is_ended_at_once(installation):
    _, job = submit_train(installation, add_discs(installation, 6), epochs=5000)
    run_worker(installation, 100)  # TensorFlow alone holds more than 1.5 times this
    ended = installation.job(job.id)
    assert ended.status == JobStatus.FAILED
    assert "MEMORY_PER_JOB_MB" in ended.error and "100 MB" in ended.error


@pytest.mark.slow
def test_a_limit_that_is_passed_while_training_ends_after_the_step_at_hand(installation, monkeypatch):
    dataset = add_discs(installation, 6)
    run, job = submit_train(installation, dataset, epochs=5000)
    with installation.database.reading() as session:
        epochs_before = len(runs.metrics(session, run.id))

    def held():
        with installation.database.reading() as session:
            done = len({row.epoch for row in runs.metrics(session, run.id)})
        return (1100 if done >= 2 else 500) * MB

    monkeypatch.setattr(MemoryWatch.__init__, "__defaults__", (held,))
    work(installation.database, installation.settings.model_copy(update={"memory_per_job_mb": 1000}))
    ended = installation.job(job.id)
    assert ended.status == JobStatus.FAILED
    assert ended.error.startswith("The job took 1,100 MB of memory, and one job may take 1,000 MB (MEMORY_PER_JOB_MB).")
    assert "duplicate the run with a smaller batch size (now 4)" in ended.error
    with installation.database.reading() as session:
        assert len(runs.metrics(session, run.id)) > epochs_before
    assert load_model(installation.files.path(stored.best_model_key(run.id)))
    assert ended.result["ended"] == "stopped" and ended.result["epochs"] >= 2
