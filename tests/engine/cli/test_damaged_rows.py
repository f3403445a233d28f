"""Rows that hold what no Maskloom writes: every command says so, and which row it is."""

import sqlite3
import sys
from contextlib import closing

import pytest

from engine import cli
from engine.core import settings as settings_module
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ("UPDATE runs SET train_seconds = 'long'", ("runs",), "train_seconds has the wrong type: 'long'"),
        ("UPDATE runs SET classes = '\"text\"'", ("runs", "--json"), "classes has the wrong type"),
        ("UPDATE runs SET config = '{broken'", ("runs",), "config is no JSON"),
        ("DELETE FROM datasets", ("export", "recipe", "--labels", "--format", "coco", "--out"), "that is not there"),
    ],
)
def test_a_command_that_fails_on_a_damaged_row_names_it(
    installation, tmp_path, monkeypatch, capsys, one_core, change, words, said
):
    dataset = add_discs(installation, 3)
    add_run(installation, dataset, "run", label_set_id=add_label_set(installation, dataset))
    with closing(sqlite3.connect(installation.settings.data_root / "app.db")) as database:
        database.execute(change)  # this connection does not keep foreign keys
        database.commit()
    for name, value in installation.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    out = [str(tmp_path / "out.json")] if words[-1] == "--out" else []
    monkeypatch.setattr(sys, "argv", ["maskloom", *words, *out])
    settings_module.settings.cache_clear()
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        settings_module.settings.cache_clear()
    assert ended.value.code == 1
    assert said in capsys.readouterr().err
