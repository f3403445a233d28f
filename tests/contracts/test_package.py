"""The package that `pip install .` installs: every file of its three packages, one version, the command `maskloom`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from streamlit.web import cli as streamlit
from typer.testing import CliRunner

from dashboard.command import SCRIPT, app
from engine import VERSION
from engine.core.settings import default_data_root

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dashboard/", "engine/", "db/")
LINKED = "dashboard/.streamlit"
"""A symbolic link in the repository, a folder in the package."""


def files_of_the_repository() -> list[str]:
    """Return what git tracks and what it would, as it lies there now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists() and name != LINKED]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy: a build folder left in the repository would put deleted modules into it."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    for name in files_of_the_repository():
        if not name.startswith(("docs/", "tests/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder]
    done = subprocess.run([*command, source], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages_and_streamlits_configuration(wheel):
    expected = {name for name in files_of_the_repository() if name.startswith(PACKAGES)}
    packaged = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packaged == expected | {f"{LINKED}/config.toml"}
    assert wheel.read(f"{LINKED}/config.toml") == (ROOT / ".streamlit/config.toml").read_bytes()


@pytest.mark.slow
def test_the_wheel_names_version_licence_dependencies_and_command(wheel):
    package = PathDistribution(zipfile.Path(wheel, f"maskloom-{VERSION}.dist-info/"))
    assert package.version == VERSION
    assert package.metadata["License-Expression"] == "MIT"
    pins = re.findall(r"^[a-z].*", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)
    assert [line for line in package.requires if "extra ==" not in line] == pins
    (command,) = package.entry_points
    assert (command.name, command.value) == ("maskloom", "dashboard.command:main")


def test_the_changelog_begins_with_the_version():
    assert re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[1] == VERSION


def test_the_command_starts_streamlit_with_its_options(monkeypatch):
    started = []
    monkeypatch.setattr(streamlit, "main", lambda arguments, prog_name: started.append(arguments))
    CliRunner().invoke(app, ["app", "--server.port", "8600", "--server.headless=true"], catch_exceptions=False)
    assert started == [["run", str(ROOT / "dashboard/app.py"), "--server.port", "8600", "--server.headless=true"]]
    assert SCRIPT.is_file()


def test_the_command_has_every_command_of_the_engine():
    commands = subprocess.run([sys.executable, "-m", "engine", "--help"], cwd=ROOT, capture_output=True, text=True)
    shown = CliRunner().invoke(app, ["--help"]).output
    for name in ("import", "train", "doctor"):
        assert f" {name} " in commands.stdout and f" {name} " in shown


def test_data_lies_in_the_checkout_or_where_an_installed_command_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_data_root(ROOT) == ROOT / "data"
    assert default_data_root(tmp_path / "site-packages") == tmp_path / "data"
