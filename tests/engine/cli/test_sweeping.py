"""`engine sweep` and its kin: what they print, and how a sweep goes on after failures."""

import json

import pytest

from tests.support.calling import call
from tests.support.installation import add_discs


@pytest.fixture
def command(installation, one_core):
    return lambda *arguments: call(installation.settings, *arguments)


def test_a_sweep_of_a_method_prints_its_score_by_name_and_is_listed(command, installation):
    add_discs(installation, 3)
    varied = ("-p", "offset=-60,0", "--sampler", "grid", "--name", "offsets")
    ended = command("sweep", "discs", "--method", "threshold", *varied, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["state"], found["budget"], found["score"]) == ("finished", 2, "Dice vs truth")
    assert found["best"]["values"] == {"offset": 0}
    (listed,) = json.loads(command("sweeps", "--json").stdout)
    assert listed["best"] == found["best"]
    extended = command("sweep-extend", "offsets", "--trials", "5", "--json")
    assert json.loads(extended.stdout)["budget"] == 2, "a grid ends with its last combination"


def test_after_five_failures_in_a_row_extending_tries_one_more_and_says_why_it_stopped(command, installation):
    add_discs(installation, 4)
    varied = ("-p", "model.image_size=33,35,37,39,41,43,45", "--sampler", "grid", "--name", "odd")
    stopped = command("sweep", "discs", "--truth", "--preset", "fast", *varied)
    assert stopped.returncode == 1
    assert "The last 5 trials failed" in stopped.stderr and "divisible" in stopped.stderr
    assert command("sweep-extend", "odd").returncode == 1
    shown = json.loads(command("sweeps", "odd", "--json").stdout)
    assert (shown["state"], shown["counts"], shown["best"]) == ("stopped", {"failed": 6}, None)
