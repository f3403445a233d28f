"""The command line on an installation of its own."""

from __future__ import annotations

import json

import pytest

from tests.support.calling import call


@pytest.fixture
def command(installation, one_core):
    return lambda *arguments: call(installation.settings, *arguments)


@pytest.fixture
def ask(command):
    def asked(*arguments):
        ended = command(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return asked
