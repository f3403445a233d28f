"""What a command that follows a job says while no worker can take it."""

from __future__ import annotations

from db import jobs, launches
from db.columns import utc_now
from db.models import JobKind, JobStatus
from engine.cli import following

RULES = launches.Rules("command", at_most=1, timeout_s=600, lost_after_s=60)
REFUSED = "A worker could not be started. sbatch: error: invalid partition [gpu] (exit code 1)."


class Refused:
    """A launcher whose command fails; it stops the job when it has looked after it three times."""

    def __init__(self, settings):
        self.looks = 0

    def submit(self, job_id):
        pass

    def look_after(self, database):
        self.looks += 1
        with database.writing() as session:
            for row in launches.request(session, RULES, None, 0, utc_now()):
                launches.fail(session, row.id, REFUSED)
            if self.looks == 3:
                for job in jobs.active(session):
                    jobs.request_stop(session, job.id)


def test_why_no_worker_could_be_started_is_said_once(installation, monkeypatch, capsys):
    monkeypatch.setattr(following, "launcher", Refused)
    monkeypatch.setattr(following, "POLL_S", 0.0)
    monkeypatch.setattr(following, "LOOK_AFTER_WORKERS_S", -1.0)
    elsewhere = {"max_workers": 0, "launcher": "command", "launch_command": "sbatch {worker}"}
    with installation.database.writing() as session:
        job = jobs.submit(session, JobKind.LABEL, {})
    current = installation.settings.model_copy(update=elsewhere)
    assert following.follow(installation.database, current, job.id, quiet=True).status == JobStatus.STOPPED
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"A worker will be requested. {REFUSED}"
