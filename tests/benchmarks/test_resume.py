"""The command that kills a training and compares: it must detect a single bit, and a run that never was killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks import resume


def trained(folder: Path, dice: float = 0.25, weight: float = 1.0, epochs: tuple[int, ...] = (1, 2)) -> Path:
    """Leave what a training leaves, with this weight and these metrics of some epochs."""
    folder.mkdir()
    rows = [{"epoch": epoch, "val_dice": dice} for epoch in epochs]
    (folder / resume.EPOCHS_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = {"ended": "finished", "epochs_done": 2, "best_metrics": {"val_dice": dice}, "seconds": dice + weight}
    (folder / resume.RESULT_FILE).write_text(json.dumps(result))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.set_weights([np.full((2, 1), weight, np.float32), np.zeros(1, np.float32)])
    for name in resume.MODELS:
        model.save(folder / name)
    return folder


def test_two_equal_trainings_have_no_difference_and_their_seconds_do_not_count(tmp_path: Path) -> None:
    a = trained(tmp_path / "a")
    # An epoch that was trained again after a kill is reported twice
    b = trained(tmp_path / "b", epochs=(1, 1, 2))
    assert resume.differences(a, b) == []
    assert len(resume.weights(a / "best.keras")) == 2


def test_the_last_bit_of_a_weight_is_seen(tmp_path: Path) -> None:
    a = trained(tmp_path / "a")
    b = trained(tmp_path / "b", weight=float(np.nextafter(np.float32(1), np.float32(2))))
    found = resume.differences(a, b)
    assert [sentence.partition(",")[0] for sentence in found] == ["best.keras", "last.keras"]
    assert "2 of 2 values differ, by up to 1.19" in found[0]
    (name,) = (name for name, values in resume.weights(b / "best.keras").items() if values.shape == (2, 1))
    assert name in found[0]


def test_the_last_digit_of_a_metric_is_seen_also_in_an_epoch_that_was_trained_again(tmp_path: Path) -> None:
    a, b = trained(tmp_path / "a"), trained(tmp_path / "b")
    reported = b / resume.EPOCHS_FILE
    other = {"epoch": 1, "val_dice": float(np.nextafter(0.25, 1))}
    reported.write_text(json.dumps(other) + "\n" + reported.read_text())
    assert resume.differences(a, b) == ["epoch 1, val_dice: 0.25 and 0.25000000000000006"]


def test_a_missing_epoch_and_another_end_are_seen(tmp_path: Path) -> None:
    a, b = trained(tmp_path / "a"), trained(tmp_path / "b", epochs=(1,))
    stored = json.loads((b / resume.RESULT_FILE).read_text())
    (b / resume.RESULT_FILE).write_text(json.dumps(stored | {"ended": "early"}))
    assert resume.differences(a, b) == ["epoch 2 is missing", "result, ended: 'finished' and 'early'"]


CHILD = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[-1]); folder.mkdir(exist_ok=True)
reported = folder / "epochs.jsonl"
done = len(reported.read_text().splitlines()) if reported.exists() else 0
for epoch in range(done + 1, 4):
    for batch in range(5):
        print("step", epoch, batch, 5, flush=True)
        time.sleep(0.02)
    reported.open("a").write(json.dumps({"epoch": epoch}) + "\\n")
(folder / "result.json").write_text("{}")
"""


def test_each_kill_hits_a_process_that_still_has_steps_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{CHILD}")
    script.chmod(0o755)
    monkeypatch.setattr(resume.sys, "executable", str(script))
    assert resume.run_once(tmp_path / "undisturbed", [])[0] == 15
    killed_at, _ = resume.run_killed(tmp_path / "killed", [], steps=15, epochs=3, kills=3, seed=1)
    assert len(killed_at) == 3
    assert max(killed_at) < 15
    assert resume.epochs_done(tmp_path / "killed") == 3


def test_a_training_that_breaks_is_no_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume.sys, "executable", "false")
    with pytest.raises(SystemExit, match="exit code 1"):
        resume.run_killed(tmp_path / "killed", [], steps=15, epochs=3, kills=1, seed=0)
