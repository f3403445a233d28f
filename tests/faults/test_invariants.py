"""Each invariant can fail: an intact installation passes all of them, and each deliberate damage is reported."""

import sqlite3
from contextlib import closing

import pytest

from db import runs
from engine.store import keys as stored
from tests.faults import invariants
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


@pytest.fixture
def full(installation):
    """A dataset, its labels and a run with predictions and a model; (installation, {what: id})."""
    dataset = add_discs(installation, 4)
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "run", label_set_id=label_set_id)
    installation.files.write(stored.best_model_key(run.id), b"a model")
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
        image_id = session.execute(runs.select(runs.Image.id).order_by(runs.Image.position)).scalars().first()
    return installation, {
        "dataset": dataset.id,
        "labels": label_set_id,
        "run": run.id,
        "set": set_id,
        "image": image_id,
    }


def change(installation, *statements):
    with closing(sqlite3.connect(installation.files.root / "app.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def everything(installation, before):
    root = installation.files.root
    return [
        *invariants.broken_database(root),
        *invariants.doubled_rows(root),
        *invariants.lost_rows(before, invariants.look(root)),
        *invariants.broken_files(root),
        *invariants.half_written(root),
    ]


def test_an_intact_installation_passes_every_check(full):
    installation, _ = full
    before = invariants.look(installation.files.root)
    assert len(before.images) == len(before.labels) == len(before.predictions) == 4
    assert before.metrics
    assert everything(installation, before) == []


ROWS = {
    "an epoch is gone": ("DELETE FROM metrics WHERE epoch = 2", "have a gap"),
    "a number of an epoch is gone": ("DELETE FROM metrics WHERE epoch = 3 AND name = 'loss'", "different numbers"),
    "the last epoch is gone": ("DELETE FROM metrics WHERE epoch = 3", "epoch 3 of run"),
    "a number changed": ("UPDATE metrics SET value = 9 WHERE epoch = 1 AND name = 'loss'", "and is 9.0"),
    "a label is gone": ("DELETE FROM labels WHERE rowid = 1", "1 rows of labels"),
    "a prediction is gone": ("DELETE FROM predictions WHERE rowid = 2", "1 rows of predictions"),
    "an image is gone": ("DELETE FROM images WHERE rowid = 3", "1 rows of images"),
    "a row points at nothing": ("UPDATE labels SET image_id = 'nothing' WHERE rowid = 1", "foreign_key_check"),
    "an image is there twice": ("UPDATE images SET name = 'disc 0.png'", "name of an image is there 4 times"),
}


@pytest.mark.parametrize("what", ROWS)
def test_rows_that_are_lost_or_doubled_are_told(full, what):
    installation, _ = full
    before = invariants.look(installation.files.root)
    statement, sentence = ROWS[what]
    change(installation, statement)
    if "points at nothing" in what:  # then the file cannot be judged
        assert sentence in " ".join(invariants.broken_database(installation.files.root))
    else:
        assert sentence in " ".join(everything(installation, before))


def test_a_row_that_no_key_keeps_single_is_told(full):
    installation, ids = full
    change(installation, "CREATE TABLE more AS SELECT * FROM metrics", "DROP TABLE metrics")
    change(
        installation, "ALTER TABLE more RENAME TO metrics", "INSERT INTO metrics SELECT * FROM metrics WHERE epoch = 1"
    )
    assert "number of an epoch is there 2 times" in " ".join(invariants.doubled_rows(installation.files.root))
    columns = "run_id, dataset_id, created_at, job_id, flips, refine"
    again = f"INSERT INTO prediction_sets (id, {columns}) SELECT 'x', {columns} FROM prediction_sets WHERE id = ?"
    change(installation, again.replace("?", repr(ids["set"])))
    assert "set of predictions is there 2 times" in " ".join(invariants.doubled_rows(installation.files.root))


def keys_of(ids):
    image = ids["image"]
    return {
        "image": stored.image_key(ids["dataset"], image),
        "thumbnail": stored.thumb_key(ids["dataset"], image),
        "truth": stored.truth_key(ids["dataset"], image),
        "label": stored.label_key(ids["labels"], image),
        "prediction": stored.prediction_key(ids["set"], image),
        "model": stored.best_model_key(ids["run"]),
    }


PICTURES = ("image", "thumbnail", "truth", "label", "prediction")


# What is in a model is for `engine.store.disk.zip_is_whole`, which has its own tests.
@pytest.mark.parametrize(
    ("what", "how"),
    [
        *((what, how) for what in PICTURES for how in ("gone", "empty", "cut short")),
        *(("model", how) for how in ("gone", "empty")),
    ],
)
def test_files_that_are_gone_or_damaged_are_told_unless_the_product_says_so(full, what, how):
    installation, ids = full
    key = keys_of(ids)[what]
    path = installation.files.path(key)
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(b"" if how == "empty" else data[: len(data) // 2])
    assert [line for line in invariants.broken_files(installation.files.root) if line.startswith(key)]
    assert invariants.broken_files(installation.files.root, {key}) == []


def test_a_picture_of_another_size_is_told(full):
    installation, ids = full
    other = installation.files.read(keys_of(ids)["thumbnail"])
    key = keys_of(ids)["label"]
    installation.files.write(key, other[:0] + _png(32))
    assert "in place of (64, 64)" in invariants.broken_files(installation.files.root)[0]


def _png(side_px):
    import numpy as np

    from engine.imaging import codec

    return codec.encode_png(np.zeros((side_px, side_px), np.uint8))


def test_a_database_that_does_not_open_or_is_damaged_is_told(full):
    installation, _ = full
    installation.database.close()
    path = installation.files.root / "app.db"
    data = path.read_bytes()
    page = 4096
    path.write_bytes(data[: 5 * page] + b"\xff" * page * 6 + data[11 * page :])
    assert invariants.broken_database(installation.files.root)
    path.write_bytes(b"no database at all" * 100)
    assert "does not open" in invariants.broken_database(installation.files.root)[0]


def test_what_is_left_behind_or_written_elsewhere_is_told(full, tmp_path):
    installation, ids = full
    root, outside = installation.files.root, tmp_path / "home"
    outside.mkdir()
    before = invariants.contents(outside)
    assert invariants.written_outside(before, invariants.contents(outside)) == []
    (outside / "stray.png").write_bytes(b"x")
    assert "stray.png" in invariants.written_outside(before, invariants.contents(outside))[0]
    assert invariants.written_outside(before, invariants.contents(outside), [str(outside / "stray")]) == []
    (root / f"runs/{ids['run']}/pixels.part12").mkdir()
    assert "pixels.part12" in invariants.half_written(root)[0]
    assert invariants.half_written(root, ["runs/"]) == []


def test_a_job_that_is_shown_as_running_without_a_worker_is_told():
    states = {"a": "running", "b": "running", "c": "lost", "d": "stopping", "e": "finished"}
    found = invariants.deserted_jobs(states, {"a": 12, "b": None, "c": None, "d": None, "e": None})
    assert [line[:5] for line in found] == ["job b", "job d"]
