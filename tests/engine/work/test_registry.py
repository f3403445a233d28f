"""Jobs and launchers are found by their modules alone."""

import subprocess
import sys

import pytest

from db.models import JobKind
from engine.core.parameters import ParameterError
from engine.core.settings import settings
from engine.work.launchers import launcher
from engine.work.launchers.local import LocalLauncher
from engine.work.registry import job_types
from tests.support.installation import REPOSITORY


def test_every_kind_that_maskloom_submits_has_a_module_and_only_predictions_are_quick():
    assert set(job_types()) == set(JobKind)
    assert {kind for kind, job in job_types().items() if job.quick} == {JobKind.PREDICT, JobKind.WARM}


def test_finding_the_jobs_imports_no_tensorflow():
    code = "import sys; from engine.work.registry import job_types; job_types(); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr


def test_the_setting_names_a_launcher_and_an_unknown_one_is_refused(installation, monkeypatch):
    assert isinstance(launcher(installation.settings), LocalLauncher)
    monkeypatch.setenv("LAUNCHER", "teleport")
    settings.cache_clear()
    known = r"it must be 'command' or 'local' or 'ray'\. Got 'teleport'"
    with pytest.raises(ParameterError, match=rf"'launcher' parameter is wrong: {known}"):
        settings()
    settings.cache_clear()
