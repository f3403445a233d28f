"""What a page that follows a run polls, and when its script has to run again."""

from dataclasses import replace

import pytest

from dashboard.views.runs.facts import LiveStatus
from dashboard.views.runs.live_facts import snapshot
from db.jobs import Progress

DETAILS = {"part_done": 50, "part_total": 100, "epoch": 5, "epochs": 10, "round": 1, "rounds": 1}
TRAINING = Progress(450, 1000, phase="training", rate=5.0, details=DETAILS)
STATUS = LiveStatus(
    state="running",
    progress=TRAINING,
    seconds=90.0,
    left_s=110.0,
    epochs_done=4,
    epochs_total=10,
    best_epoch=3,
    best_val_dice=0.5,
    parameter_count=None,
    rounds_done=0,
    rounds_total=1,
    hardware="",
    weights="",
    attempt=1,
    sentence="",
)


def test_the_bar_says_how_far_how_long_and_how_much_is_left():
    now = snapshot(STATUS)
    assert now.share == 0.45 and now.elapsed == "1 min 30 s"
    assert now.text == "Epoch 5 of 10: 50 of 100 images, 5.0 images/s · about 1 min 50 s left"


@pytest.mark.parametrize("change", [{"state": "stopping"}, {"epochs_done": 5}, {"rounds_done": 1}, {"attempt": 2}])
def test_another_state_epoch_round_or_attempt_is_another_version(change):
    assert snapshot(replace(STATUS, **change)).version != snapshot(STATUS).version


@pytest.mark.parametrize("change", [{"state": "lost"}, {"rounds_done": 1}, {"attempt": 2}, {"hardware": "2 threads"}])
def test_a_script_draws_another_state_round_attempt_or_machine(change):
    assert snapshot(replace(STATUS, **change)).stage != snapshot(STATUS).stage


def test_a_script_draws_the_first_epoch_and_none_of_the_others():
    first = replace(STATUS, epochs_done=0, best_epoch=None)
    assert snapshot(first).stage != snapshot(STATUS).stage
    assert snapshot(replace(STATUS, epochs_done=5, best_epoch=5)).stage == snapshot(STATUS).stage


def test_progress_alone_is_not():
    later = replace(STATUS, progress=replace(TRAINING, done=460, phase="x"), seconds=95.0)
    assert snapshot(later).version == snapshot(STATUS).version


@pytest.mark.parametrize(("done", "soon"), [(450, False), (490, True), (500, True), (505, False), (0, True)])
def test_it_is_worth_asking_more_often_near_the_end_of_an_epoch(done, soon):
    assert snapshot(replace(STATUS, progress=replace(TRAINING, done=done))).soon is soon


@pytest.mark.parametrize("state", ["queued", "lost", "finished"])
def test_no_bar_where_no_work_goes_on(state):
    now = snapshot(replace(STATUS, state=state))
    assert now.share is None and now.text == now.elapsed == "" and not now.soon


def test_before_anything_is_known_it_is_starting():
    now = snapshot(replace(STATUS, progress=Progress(), left_s=None, seconds=None))
    assert (now.share, now.text, now.elapsed, now.soon) == (0.0, "Starting", "", False)
