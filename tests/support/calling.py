"""The command line and the jobs that it submits within this process: no process has to import everything again."""

from __future__ import annotations

from dataclasses import dataclass
from unittest import mock

from typer.testing import CliRunner

from db.session import Database
from engine.cli import sentence_of
from engine.cli.every_command import app
from engine.core import settings as settings_module
from engine.core.settings import Settings
from engine.work.worker import work


@dataclass(frozen=True)
class Ended:
    """How a command ended. `stderr` has the sentence that `python -m engine` would print for an error of ours."""

    returncode: int
    stdout: str
    stderr: str


class WorkHere:
    """A launcher whose worker is this process: the queue is worked off before `submit` returns."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def submit(self, job_id: str) -> None:
        database = Database(self._settings.resolved_database_url)
        try:
            work(database, self._settings)
        finally:
            database.close()

    def look_after(self, database: Database) -> None:
        pass


def call(settings: Settings, *arguments: object) -> Ended:
    """Run `python -m engine …` on the installation of `settings`."""
    settings_module.settings.cache_clear()
    try:
        with (
            mock.patch.dict("os.environ", settings.as_environment()),
            mock.patch("engine.cli.following.launcher", WorkHere),
            mock.patch("engine.cli.sweeping.launcher", WorkHere),
        ):
            ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        settings_module.settings.cache_clear()
    said = ended.stderr
    if isinstance(ended.exception, Exception):
        said = sentence_of(ended.exception) or str(ended.exception)
    return Ended(ended.exit_code, ended.stdout, said)
