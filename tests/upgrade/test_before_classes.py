"""An installation whose truth has two classes and whose runs know one: those stay as they are, and new ones tell both.

`make_before_classes.py` says how it was made. The numbers below are what that version itself reported.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from db import datasets, jobs, runs
from db.columns import utc_now
from db.models import JobStatus, LabelSet, Prediction, PredictionSet, Run
from engine.imaging import codec
from engine.store import keys as stored
from engine.work.worker import work
from tests.support.calling import call
from tests.support.installation import Installation
from tests.support.live_page import masks
from tests.upgrade.conftest import upgraded
from tests.upgrade.test_migrations import rows, tables

STORED = Path(__file__).with_name("installation-before-classes.zip")
PLATES = "1e1fdf10385c47818aaa2e18e6708d8c"
ONE_CLASS, HALF_TRAINED = "6079f34a8a4141a89eac80dbc77d0200", "904e1fe8097a4eebab9aac75f93b2ea1"
GALLERY = "13e831641dcd4dc784f117386ca0f105"
EPOCHS, EPOCHS_DONE = 6, 2
SCORES = ("finished", 8, 8, 0.5342004299163818, 0.3429672420024872, 0.5722204783228898, 0.4008513548073205)
"""Status, epochs, best epoch, validation Dice and IoU there, and Dice and IoU against truth of the validation masks."""
TINY = [
    *("-p", "training.epochs=1", "-p", "model.image_size=32", "-p", "model.depth=1", "-p", "model.base_filters=2"),
]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    opened = upgraded(tmp_path / "data", STORED)
    yield opened
    opened.database.close()


def asked(installation: Installation, *arguments: object) -> dict:
    ended = call(installation.settings, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def scores(row: dict) -> tuple:
    own = (row[name] for name in ("status", "epochs", "best_epoch", "val_dice", "val_iou"))
    return (*own, *(row["validation_masks_vs_truth"][name] for name in ("dice", "iou")))


def test_the_database_keeps_its_rows(tmp_path):
    with zipfile.ZipFile(STORED) as archive:
        before = Path(archive.extract("app.db", tmp_path / "stored"))
    installation = upgraded(tmp_path / "data", STORED)
    installation.database.close()
    with closing(sqlite3.connect(before)) as old, closing(sqlite3.connect(tmp_path / "data" / "app.db")) as new:
        assert old.execute("SELECT version_num FROM alembic_version").fetchall() == [("0008",)]
        assert rows(new, tables(old)) == rows(old, tables(old))


def test_its_runs_and_label_sets_have_one_class(installation):
    with installation.database.reading() as session:
        assert {run.name: run.classes for run in session.query(Run)} == {"one class": [], "half trained": []}
        assert {each.name: each.classes for each in session.query(LabelSet)} == {"computed": [], "drawn": []}
        assert {row.truth_confusion for row in session.query(Prediction)} == {None}
    listed = {row["name"]: row for row in asked(installation, "runs")}
    assert scores(listed["one class"]) == SCORES
    assert listed["one class"]["notes"] == [] and "classes" not in listed["one class"]
    found = json.loads(call(installation.settings, "doctor", "--json").stdout)["findings"]
    assert {finding["kind"] for finding in found} == {"lost_job"}


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("runs", {"run": ONE_CLASS}),
        ("compare", {"runs": f"{ONE_CLASS},{HALF_TRAINED}"}),
        ("train", {"dataset": PLATES}),
        ("datasets", {"dataset": PLATES}),
        ("labels", {}),
        ("predict", {}),
    ],
)
def test_pages_open(open_page, page, query):
    app = open_page(f"views/{page}/page.py", **query)
    assert not app.exception and not app.error


def test_the_gallery_shows_all_masks_as_before(installation, open_page):
    app = open_page("views/gallery/page.py", run=ONE_CLASS)
    assert not app.exception and not app.error
    with installation.database.reading() as session:
        ids = [image.id for image in datasets.images(session, PLATES)]
    assert len(ids) == 6 and all(any(f"{GALLERY}/{id_}" in address for address in masks(app)) for id_ in ids)


def test_a_run_of_one_class_predicts_and_exports_foreground(installation, tmp_path):
    pictures = installation.settings.data_root / "datasets" / PLATES / "images"
    predicted = asked(installation, "predict", "one class", pictures, "--out", tmp_path / "masks", "--threshold", "0.3")
    drawn = [codec.decode_png(path.read_bytes()) for path in (tmp_path / "masks").glob("*.png")]
    assert predicted["images"] == len(drawn) == 6 and "classes" not in predicted
    assert set(np.unique(drawn)) == {0, 255}
    asked(installation, "export", "one class", "--format", "coco", "--out", tmp_path / "coco.json")
    document = json.loads((tmp_path / "coco.json").read_text())
    assert [entry["name"] for entry in document["categories"]] == ["foreground"]
    asked(installation, "export", "one class", "--format", "keras", "--out", tmp_path / "keras.zip")
    with zipfile.ZipFile(tmp_path / "keras.zip") as archive:
        card = archive.read("MODEL_CARD.md").decode()
    assert "foreground from background" in card


@dataclass(frozen=True)
class Trained:
    installation: Installation
    both: dict
    drawn: dict


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """The installation after its half-trained run was resumed and two new ones were trained."""
    installation = upgraded(tmp_path_factory.mktemp("trained") / "data", STORED)
    with installation.database.writing() as session:
        assert jobs.requeue_lost(session, utc_now(), installation.settings.lost_after_s) == 1
    work(installation.database, installation.settings)
    both = asked(installation, "train", "plates", "--truth", "--name", "both", *TINY)
    drawn = asked(installation, "train", "plates", "--labels", "drawn", "--name", "on drawn masks", *TINY)
    yield Trained(installation, both, drawn)
    installation.database.close()


def test_the_half_trained_run_resumes_with_one_class(trained):
    with trained.installation.database.reading() as session:
        run = session.get_one(Run, HALF_TRAINED)
        assert (trained.installation.job(run.job_id).status, run.classes) == (JobStatus.FINISHED, [])
        metrics = {(row.epoch, row.name) for row in runs.metrics(session, run.id)}
        own = runs.own_prediction_set(session, run)
        predicted = runs.predictions(session, own.id)
    assert {epoch for epoch, _ in metrics} == set(range(1, EPOCHS + 1))
    assert {name for _, name in metrics} >= {"val_dice"} and not any(name.endswith("_1") for _, name in metrics)
    files = trained.installation.files
    assert len(predicted) == 6 and all(row.truth_confusion is None for row in predicted)
    assert not any(files.exists(stored.prediction_classes_key(own.id, row.image_id)) for row in predicted)


def test_a_new_run_tells_the_classes_of_its_truth_apart(trained):
    assert [entry["name"] for entry in trained.both["classes"]] == ["plate", "egg"]
    with trained.installation.database.reading() as session:
        (own,) = session.query(PredictionSet).filter_by(run_id=trained.both["run"])
        confusions = [row.truth_confusion for row in runs.predictions(session, own.id)]
    assert len(confusions) == 6 and all({true for true, *_ in rows} == {0, 1, 2} for rows in confusions)


def test_a_label_set_that_was_merged_stays_merged(trained):
    assert "classes" not in trained.drawn
    assert trained.drawn["reference"] == "agreement with the pseudo-label"


def test_nothing_else_changed_and_doctor_finds_nothing_wrong(trained):
    listed = {row["name"]: row for row in asked(trained.installation, "runs")}
    assert set(listed) == {"one class", "half trained", "both", "on drawn masks"}
    assert scores(listed["one class"]) == SCORES
    assert asked(trained.installation, "doctor")["findings"] == []
