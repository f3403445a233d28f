"""Launchers with real processes: a scheduler that starts workers later, refuses one and loses one."""

from __future__ import annotations

import shlex
import sys
import time

import psutil
import pytest
from pydantic import ValidationError
from sqlalchemy import select

from db import jobs, recipes, workers
from db.columns import new_id, utc_now
from db.models import JobStatus, Launch, Worker, WorkerKind
from engine.core import settings
from engine.core.settings import Settings
from engine.work.launchers import command
from engine.work.launchers.command import CommandLauncher
from tests.engine.work.test_joining import open_app, submit_label
from tests.support.installation import REPOSITORY

PATIENCE_S = 300
SCHEDULER = REPOSITORY / "tests" / "support" / "fake_scheduler.py"


@pytest.fixture
def cluster(tmp_path):
    """The folder of a scheduler; what it has started is killed at the end."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    yield folder
    (folder / "open").touch()
    for pid in (folder / "pids").read_text().split() if (folder / "pids").exists() else []:
        if psutil.pid_exists(int(pid)):
            kill_all(int(pid))


def kill_all(pid):
    process = psutil.Process(pid)
    for each in [*process.children(recursive=True), process]:
        each.kill()


@pytest.fixture
def elsewhere(installation, cluster):
    """An installation whose own machine runs no jobs, and whose launcher asks the scheduler for workers."""
    command = shlex.join([sys.executable, str(SCHEDULER), str(cluster), "--mem={memory}", "--wrap", "{worker}"])
    installation.settings = installation.settings.model_copy(
        update={
            "max_workers": 0,
            "lost_after_s": 5.0,
            "launcher": "command",
            "launch_command": command,
            "launch_idle_s": 1.0,
        }
    )
    open_app(installation)
    return installation


def wait_until(condition, launcher=None, database=None):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        if launcher is not None:
            launcher.look_after(database)
        time.sleep(0.05)


def launches(installation):
    with installation.database.reading() as session:
        return list(session.scalars(select(Launch).order_by(Launch.requested_at)))


def joined(installation):
    with installation.database.reading() as session:
        return list(session.scalars(select(Worker).where(Worker.kind == WorkerKind.JOINED)))


def submissions(cluster):
    return (cluster / "submitted").read_text().splitlines() if (cluster / "submitted").exists() else []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_job_waits_until_the_scheduler_starts_its_worker_which_ends_when_idle(elsewhere, cluster):
    label_set, job_id = submit_label(elsewhere)
    launcher = CommandLauncher(elsewhere.settings)
    launcher.look_after(elsewhere.database)
    wait_until(lambda: submissions(cluster))
    CommandLauncher(elsewhere.settings).look_after(elsewhere.database)  # the app was restarted
    launcher.look_after(elsewhere.database)
    assert len(launches(elsewhere)) == len(submissions(cluster)) == 1
    (cluster / "open").touch()
    wait_until(lambda: elsewhere.job(job_id).status.ended)
    assert elsewhere.job(job_id).status == JobStatus.FINISHED
    with elsewhere.database.reading() as session:
        assert len(recipes.labelled_images(session, label_set.id)) == 4
    wait_until(lambda: not joined(elsewhere))
    assert launches(elsewhere) == [] and len(submissions(cluster)) == 1


def test_what_the_scheduler_says_when_it_refuses_is_kept_and_what_it_loses_is_requested_again(elsewhere, cluster):
    _, job_id = submit_label(elsewhere, 2)
    (cluster / "refuse").touch()
    launcher = CommandLauncher(elsewhere.settings)
    wait_until(lambda: launches(elsewhere) and launches(elsewhere)[0].error, launcher, elsewhere.database)
    sentence = launches(elsewhere)[0].error
    assert sentence == "A worker could not be started. error: invalid partition 'gpu' (exit code 1)."
    (cluster / "refuse").unlink()
    forget_pauses(elsewhere)
    (cluster / "lose").touch()
    wait_until(lambda: len(submissions(cluster)) == 2, launcher, elsewhere.database)
    (cluster / "open").touch()
    soon = CommandLauncher(elsewhere.settings.model_copy(update={"launch_timeout_s": 0.1}))
    wait_until(lambda: "has not joined" in launches(elsewhere)[-1].error, soon, elsewhere.database)
    forget_pauses(elsewhere)
    wait_until(lambda: elsewhere.job(job_id).status.ended, launcher, elsewhere.database)
    assert elsewhere.job(job_id).status == JobStatus.FINISHED and len(submissions(cluster)) == 3
    assert all(not row.error for row in launches(elsewhere))


def forget_pauses(installation):
    """Let the pause after a failure have passed."""
    with installation.database.writing() as session:
        for row in session.scalars(select(Launch)):
            row.failed_at = row.requested_at.replace(year=2000) if row.failed_at else None


def test_a_worker_of_the_scheduler_that_is_killed_loses_nothing(elsewhere, cluster):
    label_set, job_id = submit_label(elsewhere, 12)
    (cluster / "open").touch()
    launcher = CommandLauncher(elsewhere.settings)

    def drawn():
        with elsewhere.database.reading() as session:
            return len(recipes.labelled_images(session, label_set.id))

    wait_until(drawn, launcher, elsewhere.database)
    kill_all(int((cluster / "pids").read_text().split()[0]))
    wait_until(lambda: elsewhere.job(job_id).status.ended, Watch(launcher), elsewhere.database)
    assert (elsewhere.job(job_id).status, drawn()) == (JobStatus.FINISHED, 12)


class Watch:
    """What the app does every few seconds: it requeues what joined workers lost, and looks after the launcher."""

    def __init__(self, launcher):
        self._launcher = launcher

    def look_after(self, database):
        with database.writing() as session:
            jobs.requeue_lost_of_joined(session, utc_now(), 5.0)
        self._launcher.look_after(database)


def test_a_program_that_is_not_there_is_a_sentence(elsewhere):
    submit_label(elsewhere, 1)
    missing = elsewhere.settings.model_copy(update={"launch_command": "sbatch-of-nowhere --wrap '{worker}'"})
    CommandLauncher(missing).look_after(elsewhere.database)
    (row,) = launches(elsewhere)
    assert row.error.endswith("started. 'sbatch-of-nowhere' cannot be run: No such file or directory.")


def test_the_worker_is_one_argument_and_its_needs_are_filled_in(elsewhere):
    launch = Launch(id="0" * 32, needs_gpu=True, needs_memory_mb=32_000, needs_tag="", launcher="command", at_most=1)
    changes = {"launch_command": "ssh -p 22 'gpu{gpu}' 'nice {worker} --slots 2' {memory}", "launch_tags": "a, b"}
    worker = (
        f"{shlex.quote(sys.executable)} -m engine worker --join --launch {'0' * 32} --end-when-idle 1 --tag a --tag b"
    )
    assert CommandLauncher(elsewhere.settings.model_copy(update=changes)).command(launch) == [
        "ssh", "-p", "22", "gpu1", f"nice {worker} --slots 2", "32000",
    ]  # fmt: skip
    remote = elsewhere.settings.model_copy(update={"launch_command": "ssh gpu maskloom worker --join {options}"})
    assert CommandLauncher(remote).command(launch)[-1] == f"--launch {'0' * 32} --end-when-idle 1"


@pytest.mark.parametrize("padding", ["", "x" * 265 + " "])  # the sentence is cut in the middle of the password
def test_a_password_is_in_the_environment_only_and_in_no_sentence(elsewhere, cluster, padding):
    submit_label(elsewhere, 1)
    script = cluster / "says.sh"
    script.write_text(f'echo "got {padding}$DATABASE_URL" >&2; env > "$1/environment"; exit 3\n')
    secret = {
        "database_url": "postgresql://somebody:s3cret-word@nowhere/db",
        "launch_command": f"sh {script} {cluster} {{worker}}",
    }
    launcher = CommandLauncher(elsewhere.settings.model_copy(update=secret))
    wait_until(lambda: launches(elsewhere) and launches(elsewhere)[0].error, launcher, elsewhere.database)
    assert "s3cret-word" not in " ".join(launcher.command(launches(elsewhere)[0]))
    assert "s3cret-word" in (cluster / "environment").read_text()
    error = launches(elsewhere)[0].error
    assert "(exit code 3)" in error and "postgresql://somebody:*" in error and "s3c" not in error
    (log,) = (elsewhere.settings.data_root / "logs" / "launches").iterdir()
    assert log.stat().st_mode & 0o777 == 0o600


def test_what_commands_printed_long_ago_is_deleted(elsewhere, monkeypatch):
    monkeypatch.setattr(command, "KEPT_LOGS", 2)
    for _ in range(4):
        submit_label(elsewhere, 1, name=new_id())
        quiet = elsewhere.settings.model_copy(update={"launch_command": "true {worker}"})
        CommandLauncher(quiet).look_after(elsewhere.database)
    kept = {path.stem for path in (elsewhere.settings.data_root / "logs" / "launches").iterdir()}
    assert kept == {row.id for row in launches(elsewhere)[-2:]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"launch_command": ""}, "LAUNCHER=command needs a LAUNCH_COMMAND"),
        ({"launch_command": "ssh gpu worker"}, "LAUNCHER=command needs a LAUNCH_COMMAND"),
        ({"launch_command": "sbatch --wrap '{worker}"}, r"its quotes do not match \(No closing quotation\)"),
        ({"launch_command": "ssh gpu {worker}", "launch_tags": "big, two words"}, "a tag has up to 64 letters"),
    ],
)
def test_a_command_or_a_tag_that_can_start_no_worker_is_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Settings(launcher="command", **changes)


def test_both_rules_for_tags_are_the_same():
    assert settings.TAG == workers.TAG
