"""An app that would be open to other machines does not start."""

import os
import subprocess
import sys

import pytest

from dashboard.access.mode import AccessMode, _access_mode, is_loopback, providers, reason_not_to_start
from engine.core.settings import Settings
from tests.support.installation import REPOSITORY

LOGIN = {
    "redirect_uri": "https://masks.example/oauth2callback",
    "cookie_secret": "0123456789abcdef0123456789abcdef",
    "client_id": "x",
}
LONG = "a token of 24 characters"


def chosen(**values) -> Settings:
    return Settings(**values)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])
def test_listening_on_this_machine_needs_no_setting(address):
    assert is_loopback(address)
    assert reason_not_to_start(address, {}, chosen()) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "masks.example", "unix:/tmp/a", ""])
def test_listening_elsewhere_requires_the_setting_and_a_token(address):
    both = {"allow_remote": True, "access_token": LONG}
    assert reason_not_to_start(address, {}, chosen(**both)) is None
    for missing, words in (("allow_remote", "Set ALLOW_REMOTE=1,"), ("access_token", "Set an ACCESS_TOKEN,")):
        given = {name: value for name, value in both.items() if name != missing}
        assert words in reason_not_to_start(address, {}, chosen(**given))
    assert "ALLOW_REMOTE=1 and an ACCESS_TOKEN" in reason_not_to_start(address, {}, chosen())
    assert reason_not_to_start(address, LOGIN, chosen()) is None


def test_a_short_token_is_rejected_without_showing_it():
    reason = reason_not_to_start("127.0.0.1", {}, chosen(access_token="nineteen characters"))
    assert "at least 20" in reason and "Got 19" in reason and "nineteen" not in reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cookie_secret": "short"}, "cookie_secret"),
        ({"redirect_uri": "https://masks.example/"}, "redirect_uri"),
        ({"redirect_uri": ""}, "redirect_uri"),
        ({"client_id": ""}, "identity provider"),
    ],
)
def test_an_incomplete_login_is_rejected(change, words):
    assert words in reason_not_to_start("127.0.0.1", LOGIN | change, chosen())


def test_named_providers_are_found():
    several = {
        "redirect_uri": "x",
        "one": {"client_id": "a"},
        "two": {"client_id": "b"},
        "client_kwargs": {"scope": "x"},
    }
    assert providers(several) == ["one", "two"]
    assert providers(LOGIN) == [None]


def test_a_login_has_priority_over_a_token():
    assert _access_mode(LOGIN, chosen(access_token=LONG)) == AccessMode.LOGIN
    assert _access_mode({}, chosen(access_token=LONG)) == AccessMode.TOKEN
    assert _access_mode({}, chosen()) == AccessMode.OPEN


def started(tmp_path, *options, **environment):
    """Return what the app prints that refuses to start."""
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", *options]
    done = subprocess.run(
        [*command, "--server.headless", "true", "--server.port", "0"],
        cwd=REPOSITORY,
        env={**os.environ, "DATA_ROOT": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0 and not (tmp_path / "app.db").exists()
    return done.stdout + done.stderr


def test_the_app_itself_refuses_to_start(tmp_path):
    printed = started(tmp_path, "--server.address", "0.0.0.0", ACCESS_TOKEN=LONG)
    assert "Set ALLOW_REMOTE=1" in printed and LONG not in printed


def test_a_wrong_setting_ends_the_start_with_a_sentence(tmp_path):
    printed = started(tmp_path, LAUNCHER="carrier pigeon")
    assert "The 'launcher' parameter is wrong" in printed and "Traceback" not in printed


def test_a_worker_is_not_given_the_token(monkeypatch):
    monkeypatch.setenv("ACCESS_TOKEN", LONG)
    environment = Settings().as_environment()
    assert "ACCESS_TOKEN" not in environment and LONG not in repr(Settings())
    assert environment["DATA_ROOT"]
