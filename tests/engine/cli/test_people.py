"""People and roles from the command line."""

import json

import pytest
from typer.testing import CliRunner

from db import audit, people
from db.actors import Role
from engine.cli.people import app
from engine.core import settings as settings_module


@pytest.fixture
def command(installation, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(installation.settings.data_root))
    monkeypatch.setenv("DATABASE_URL", installation.settings.resolved_database_url)
    settings_module.settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, words)
    settings_module.settings.cache_clear()


def test_a_role_is_given_and_written_down(installation, command):
    assert "Nobody" in command("people").output
    with installation.database.writing() as session:
        people.log_in(session, "i|1", "ada@example.org", "Ada", Role.VIEWER, set())
        people.log_in(session, "i|2", "", "Bob", Role.VIEWER, set())
    bob = json.loads(command("people", "--json").output)[1]
    assert bob["name"] == "Bob" and bob["role"] == "viewer"
    assert command("role", bob["id"], "admin").output.strip() == "Bob is admin now."
    assert command("role", "ada@example.org", "none").exit_code == 0
    assert "Nobody has" in str(command("role", "eve@example.org", "admin").exception)
    assert "only admin" in str(command("role", bob["id"], "viewer").exception)
    with installation.database.reading() as session:
        last = audit.entries(session)[0]
    assert (last.who, last.name, last.detail) == ("command line", "Ada", "from admin to none")
