"""Patience counts, and the state survives a restart whole."""

import math

import numpy as np
import pytest

from engine.artifacts import replacing
from engine.training.state import STATE_FILE, Patience, TrainingState, load_state, save_state


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


def test_an_empty_folder_is_a_fresh_start_and_a_damaged_file_says_so(tmp_path):
    assert load_state(tmp_path) == (TrainingState(), {})
    (tmp_path / STATE_FILE).write_bytes(b"PK half a file")
    with pytest.raises(ValueError, match="damaged, so it cannot resume"):
        load_state(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
