"""What deploy/ starts exists: commands with their options, settings, files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from engine.cli.every_command import app
from engine.core.settings import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = (DEPLOY / "maskloom-worker.service").read_text(encoding="utf-8")
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize(
    "command", [SERVICES["worker"]["command"], re.search(r"^ExecStart=/opt/maskloom/bin/(.*)$", UNIT, re.M)[1]]
)
def test_workers_are_started_with_options_that_there_are(command):
    name, *arguments = command.split()
    assert name == "maskloom"
    result = CliRunner().invoke(app, [*arguments, "--slots", "0"])  # the last one counts: nothing is started
    assert result.exit_code == 2 and "--slots" in result.output and "No such" not in result.output


def test_the_compose_file_sets_only_settings_and_shares_database_and_files():
    ours = {name: service for name, service in SERVICES.items() if name != "database"}
    for service in ours.values():
        assert {name.lower() for name in service["environment"]} <= set(Settings.model_fields)
        assert service["volumes"] == ["files:/data"]
        assert (DEPLOY.parent / service["build"]["dockerfile"]).is_file()
    assert len({service["environment"]["DATABASE_URL"] for service in ours.values()}) == 1


def test_the_compose_file_of_an_object_store_sets_only_settings_and_variables_of_its_client():
    text = (DEPLOY / "compose.objects.yaml").read_text(encoding="utf-8").replace("!override", "")
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"objects", *(SERVICES.keys() - {"database"})}
    for name in ("app", "worker"):
        ours = {key for key in services[name]["environment"] if not key.startswith("AWS_")}
        assert {key.lower() for key in ours} <= set(Settings.model_fields)
        assert Settings(store_url=services[name]["environment"]["STORE_URL"]).store_url


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_accepts_the_unit(tmp_path):
    unit = tmp_path / "maskloom-worker.service"
    unit.write_text(UNIT.replace("/opt/maskloom/bin/maskloom", "/bin/true").replace("User=maskloom", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
