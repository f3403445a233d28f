"""Patience counts, and the state survives a restart whole."""

import math

import numpy as np
import pytest

from engine.store.disk import replacing
from engine.training.state import EARLIER_FILE, STATE_FILE, Patience, TrainingState, load_state, save_state


def test_less_loss_and_more_dice_is_better():
    loss, dice = Patience(), Patience()
    for epoch, value in enumerate([0.5, 0.4, 0.45], start=1):
        loss.improves("val_loss", value, epoch)
        dice.improves("val_dice", value, epoch)
    assert (loss.best, loss.best_epoch, loss.waited) == (0.4, 2, 1)
    assert (dice.best, dice.best_epoch, dice.waited) == (0.5, 1, 2)


def test_a_change_below_the_smallest_improvement_does_not_count():
    patience = Patience()
    assert patience.improves("val_dice", 0.5, 1, min_delta=0.1)
    assert not patience.improves("val_dice", 0.55, 2, min_delta=0.1)
    assert patience.improves("val_dice", 0.7, 3, min_delta=0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_never_improves(value):
    patience = Patience()
    assert not patience.improves("loss", value, 1)
    assert patience.best is None


def test_what_was_saved_is_loaded(tmp_path):
    state = TrainingState(epoch=3, seconds=1.5, rate_factor=0.5, best_metrics={"loss": 0.25})
    state.early_stopping.improves("loss", 0.25, 3)
    save_state(tmp_path, state, {"weight0": np.arange(3.0)})
    loaded, arrays = load_state(tmp_path)
    assert loaded == state
    assert list(arrays) == ["weight0"]
    assert (arrays["weight0"] == np.arange(3.0)).all()
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_the_state_before_is_kept_until_a_run_has_ended(tmp_path):
    for epoch in (1, 2, 3):
        save_state(tmp_path, TrainingState(epoch=epoch), {"weight0": np.full(3, epoch)})
    assert {path.name for path in tmp_path.iterdir()} == {STATE_FILE, EARLIER_FILE}
    save_state(tmp_path, TrainingState(epoch=3, ended="finished"), {})
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


DAMAGE = {
    "emptied": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "no zip": lambda data: b"PK half a file",
    "a byte of an array": lambda data: data[:200] + bytes([data[200] ^ 0xFF]) + data[201:],
    "a byte of the directory": lambda data: data[:-60] + bytes([data[-60] ^ 0xFF]) + data[-59:],
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_state_goes_on_from_the_one_before(tmp_path, how):
    for epoch in (1, 2):
        save_state(tmp_path, TrainingState(epoch=epoch), {"weight0": np.full(300, float(epoch))})
    path = tmp_path / STATE_FILE
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    state, arrays = load_state(tmp_path)
    assert state.epoch == 1
    assert (arrays["weight0"] == 1).all()


def test_an_empty_folder_is_a_fresh_start_and_so_is_the_next_try_once_nothing_is_whole(tmp_path):
    assert load_state(tmp_path) == (TrainingState(), {})
    for name in (STATE_FILE, EARLIER_FILE):
        (tmp_path / name).write_bytes(b"PK half a file")
    with pytest.raises(ValueError, match="damaged, so it cannot resume"):
        load_state(tmp_path)
    assert load_state(tmp_path) == (TrainingState(), {})
    assert {path.name for path in tmp_path.iterdir()} == {f"{STATE_FILE}.damaged", f"{EARLIER_FILE}.damaged"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
