"""Sweeps from the command line."""

from __future__ import annotations

import pytest

from db import sweeps
from db.models import Sweep
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


class Idle:
    def submit(self, job_id):
        pass
