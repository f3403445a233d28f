"""Sweeps from the command line."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from db import sweeps
from db.models import Job, JobKind, JobStatus, Sweep
from engine.cli import sweeping
from tests.support.calling import WorkHere, call
from tests.support.installation import add_discs


@pytest.fixture
def dataset(installation, monkeypatch):
    monkeypatch.setattr(sweeping, "launcher", WorkHere)
    return add_discs(installation, 2, name="discs")


def test_a_sweep_is_followed_to_its_end_listed_and_shown(dataset, ask, command):
    made = ask("sweep", "discs", "--method", "threshold", "-p", "offset=-40,0,40", "--sampler", "grid", "--trials", 9)
    assert (made["state"], made["budget"], made["counts"]) == ("finished", 3, {"complete": 3})
    assert made["best"]["score"] == max(trial["score"] for trial in made["trials"])
    assert [each["name"] for each in ask("sweeps")] == [made["name"]]
    assert "offset=" in command("sweeps", made["name"]).stdout
    refused = command("sweep-retry", made["name"])
    assert refused.returncode == 1 and "no failed trial" in refused.stderr


def test_where_no_machine_runs_jobs_it_says_so_while_it_waits(installation, dataset, monkeypatch):
    def stop(_):
        with installation.database.writing() as session:
            for each in session.query(Sweep):
                sweeps.stop(session, each.id)

    monkeypatch.setattr(sweeping.time, "sleep", stop)
    none = installation.settings.model_copy(update={"max_workers": 0})
    monkeypatch.setattr(sweeping, "launcher", lambda current: Idle())
    ended = call(none, "sweep", "discs", "--method", "threshold", "-p", "offset=-40,40", "--sampler", "grid")
    assert ended.returncode == 0 and "No machine runs jobs now." in ended.stderr


def test_trials_need_of_a_machine_what_the_sweep_was_given(installation, dataset, command):
    varied = ("--method", "threshold", "-p", "offset=-40,40", "--sampler", "grid")
    refused = command("sweep", "discs", *varied, "--needs", "wings")
    assert refused.returncode == 1 and "must be gpu, memory=8GB or tag=NAME" in refused.stderr
    begun = command("sweep", "discs", *varied, "--needs", "tag=lab", "--needs", "memory=8GB", "--detach")
    assert begun.returncode == 0, begun.stderr
    with installation.database.reading() as session:
        (job,) = session.scalars(select(Job).where(Job.kind == JobKind.LABEL))
    assert (job.needs_tag, job.needs_memory_mb, job.status) == ("lab", 8000, JobStatus.QUEUED)


class Idle:
    def submit(self, job_id):
        pass

    def look_after(self, database):
        pass


def test_a_sweep_of_a_method_prints_its_score_by_name_and_is_listed(command, installation):
    add_discs(installation, 3)
    varied = ("-p", "offset=-60,0", "--sampler", "grid", "--name", "offsets")
    ended = command("sweep", "discs", "--method", "threshold", *varied, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["state"], found["budget"], found["score"]) == ("finished", 2, "Dice vs truth")
    assert found["best"]["values"] == {"offset": 0}
    (listed,) = json.loads(command("sweeps", "--json").stdout)
    assert listed["best"] == found["best"]
    extended = command("sweep-extend", "offsets", "--trials", "5", "--json")
    assert json.loads(extended.stdout)["budget"] == 2, "a grid ends with its last combination"


def test_after_five_failures_in_a_row_extending_tries_one_more_and_says_why_it_stopped(command, installation):
    add_discs(installation, 4)
    varied = ("-p", "model.image_size=33,35,37,39,41,43,45", "--sampler", "grid", "--name", "odd")
    stopped = command("sweep", "discs", "--truth", "--preset", "fast", *varied)
    assert stopped.returncode == 1
    assert "The last 5 trials failed" in stopped.stderr and "divisible" in stopped.stderr
    assert command("sweep-extend", "odd").returncode == 1
    shown = json.loads(command("sweeps", "odd", "--json").stdout)
    assert (shown["state"], shown["counts"], shown["best"]) == ("stopped", {"failed": 6}, None)
