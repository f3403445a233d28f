"""An installation that version 0.1.0 left behind: it opens, its half-trained run resumes, and it exports.

`make_installation.py` says how it was made. The numbers below are what version 0.1.0 itself reported.
"""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import select

from dashboard.access import identity
from dashboard.facts import urls
from db import datasets, jobs, runs, submissions
from db.columns import utc_now
from db.models import Image, Job, JobStatus, PredictionSet, Run
from engine.imaging import codec, metrics
from engine.store import keys as stored
from engine.work.progress_words import progress_count, progress_words
from tests.support.calling import call
from tests.support.entering import login_wanted, user_cookies
from tests.support.installation import REPOSITORY, Installation
from tests.support.live_page import given, masks
from tests.support.serving import serving
from tests.upgrade.conftest import STORED, upgraded

PLATES, MORE = "c0097b062b954e24b08a4031d38002aa", "8f9deb4d5e2647048ec7bb2771163607"
FINISHED, ARCHIVED = "5f1ecfe1113643c59c1f45905dddb61f", "8f6cab7553324ff0bd7aabde3b7fd592"
HALF_TRAINED, EPOCHS = "b27b79db273343cdbf341bb060932046", 8
EPOCHS_DONE = 2
"""The worker was killed between storing the metrics of epoch 3 and its weights: that epoch is trained again."""
GALLERY, MORE_PREDICTED = "f7f095990e49416bba29adbe2b9f9cc6", "1f2f98e1f8814632ad0fa66621e1909c"
COCO_JOB = "fb55080fe8004eb28c26fd9f7a60988f"

SCORES = {
    "half trained": ("running", 3, 3, 0.8654358386993408, 0.7994467616081238, None, None),
    "archived": ("finished", 6, 6, 0.802644670009613, 0.9115755558013916, 0.9436130461893422, 0.8932502043808608),
    "finished": ("finished", 12, 6, 0.8709653615951538, 0.9196141362190247, 0.9432018442301155, 0.8925258145899069),
}
"""Status, epochs, best epoch, validation Dice and IoU there, and Dice and IoU against truth of the validation masks."""

PAGES = [
    ("home", {}, ["1 dataset, 8 images", "1 mask set, 8 masks", "half trained", "finished"]),
    ("datasets", {}, ["plates", "8 images · 8 with truth"]),
    ("datasets", {"dataset": PLATES}, ["plate 0.png", "Files (1 skipped)"]),
    ("labels", {"a": "kmeans"}, ["plates kmeans", "three clusters", "0.998", "1 dropped"]),
    ("train", {}, ["plates", "plates kmeans", "1 dropped"]),
    ("runs", {}, ["finished", "half trained", "0.871", "baseline", "The first one worth keeping.", "Round 2"]),
    ("runs", {"run": HALF_TRAINED}, ["half trained", "0.865", "3 of 8"]),
    ("runs", {"run": ARCHIVED}, ["archived", "0.803"]),
    ("sweeps", {}, ["No sweeps yet"]),
    ("sweeps", {"new": "1", "dataset": PLATES}, ["New sweep", "plates", "Start sweep"]),
    ("gallery", {}, ["finished", "0.938"]),
    ("gallery", {"run": ARCHIVED}, ["archived"]),
    ("compare", {"runs": f"{FINISHED},{ARCHIVED}"}, ["finished", "archived", "plates kmeans"]),
    ("predict", {}, ["more predicted by finished"]),
    ("predict", {"set": MORE_PREDICTED}, ["more predicted by finished"]),
    ("measure", {"dataset": PLATES}, ["plates", "Measure 8 images"]),
    ("people", {}, ["Ada", "Bob", "bob@example.org", "from viewer to editor"]),
    ("account", {}, ["Ada", "admin"]),
]


def everything_shown(app) -> str:
    """Return all text of a page, that of its tables and of its browser halves included."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning, app.metric)
    texts = [str(element.value) for kind in kinds for element in kind]
    texts += [tab.label for tab in app.tabs]
    texts += [link.proto.label for link in app.get("page_link")]
    texts += [option for box in app.selectbox for option in box.options]
    texts += [table.value.to_string() for table in (*app.dataframe, *app.table)]
    texts += [button.label for button in app.button]
    return "\n".join([*texts, json.dumps(given(app), ensure_ascii=False)])


@pytest.mark.parametrize(("page", "query", "expected"), PAGES)
def test_a_page_shows_what_was_stored(open_page, monkeypatch, page, query, expected):
    monkeypatch.setattr(identity, "cookies_of_page", lambda: user_cookies("ada"))
    with login_wanted():
        app = open_page(f"views/{page}/page.py", **query)
    assert not app.exception and not app.error
    text = everything_shown(app)
    assert [part for part in expected if part not in text] == []


def test_every_page_is_tried():
    pages = {path.parent.name for path in (REPOSITORY / "dashboard" / "views").glob("*/page.py")}
    assert {page for page, _, _ in PAGES} == pages


def test_the_gallery_has_a_tile_for_every_image(installation, open_page):
    app = open_page("views/gallery/page.py", run=FINISHED)
    with installation.database.reading() as session:
        ids = [image.id for image in datasets.images(session, PLATES)]
    addresses = masks(app)
    assert len(ids) == 8
    assert [id_ for id_ in ids if not any(f"{GALLERY}/{id_}" in address for address in addresses)] == []


def listed(installation: Installation) -> dict[str, tuple]:
    ended = call(installation.settings, "runs", "--json")
    assert ended.returncode == 0, ended.stderr
    return {
        row["name"]: (
            *(row[name] for name in ("status", "epochs", "best_epoch", "val_dice", "val_iou")),
            *(row["validation_masks_vs_truth"][name] for name in ("dice", "iou")),
        )
        for row in json.loads(ended.stdout)
    }


def test_the_runs_have_the_scores_that_they_had(installation):
    assert listed(installation) == SCORES


def test_the_progress_of_jobs_is_readable_in_its_new_columns(installation, stored_database):
    with closing(sqlite3.connect(stored_database)) as raw:
        before = {row[0]: row[1:] for row in raw.execute("SELECT id, progress_done, progress_total FROM jobs")}
    with installation.database.reading() as session:
        now = {job.id: jobs.Progress.of(job) for job in session.scalars(select(Job))}
        killed = session.get_one(Run, HALF_TRAINED).job_id
    assert now == {id_: jobs.Progress(done, total) for id_, (done, total) in before.items()}
    assert (progress_words(now[killed]), progress_count(now[killed])) == ("", "18 of 48")


def findings(installation: Installation) -> set[str]:
    ended = call(installation.settings, "doctor", "--json")
    return {finding["kind"] for finding in json.loads(ended.stdout)["findings"]}


def test_doctor_finds_only_what_the_kill_left(installation):
    assert findings(installation) == {"lost_job"}


def test_masks_and_the_prepared_annotations_are_downloaded(installation, submitted):
    with serving() as server:
        coco = server.ask(urls.prepared(COCO_JOB))
        archive = zipfile.ZipFile(io.BytesIO(server.ask(urls.masks_zip("prediction_set", GALLERY)).body))
        model = server.ask(urls.model(FINISHED))
        report = server.ask(urls.import_report_csv(PLATES))
    assert (coco.status, coco.body) == (200, stored_file(f"predictions/{GALLERY}/exports/coco/{COCO_JOB}.json"))
    assert (model.status, model.body) == (200, stored_file(f"runs/{FINISHED}/best.keras"))
    with installation.database.reading() as session:
        images = datasets.images(session, PLATES)
    assert "images/broken.png" in report.body.decode("utf-8-sig")
    for image in images:
        probability = decoded(stored_file(f"predictions/{GALLERY}/{image.id}.png"))
        mask = decoded(archive.read(f"masks/{Path(image.name).name}"))
        assert np.array_equal(mask > 0, metrics.to_mask(probability, 0.5)), image.name


def stored_file(key: str) -> bytes:
    with zipfile.ZipFile(STORED) as archive:
        return archive.read(key)


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(png)))


@dataclass(frozen=True)
class Resumed:
    """An installation in which one worker has done all that waited.

    `probes` has when the pictures of the epochs that were done before were written, by their path.
    """

    installation: Installation
    coco: Job
    keras: Job
    again: str
    probes: dict[Path, int]


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resumed]:
    root = tmp_path_factory.mktemp("resumed")
    installation = upgraded(root / "data")
    probes = sorted((installation.settings.data_root / "runs" / HALF_TRAINED / "probe").rglob("*.png"))
    written = {path: path.stat().st_mtime_ns for path in probes}
    with installation.database.writing() as session:
        assert jobs.requeue_lost(session, utc_now(), installation.settings.lost_after_s) == 1
        source = {"kind": "folder", "path": str(pictures_of_more(installation, root / "more"))}
        again, _ = submissions.submit_predict_new(session, FINISHED, "more again", source)
        keras = submissions.submit_export(session, "run", ARCHIVED, "keras")
        coco = submissions.submit_export(session, "prediction_set", GALLERY, "coco", 0.5)
    command = [sys.executable, "-m", "engine.work.worker"]
    subprocess.run(command, cwd=REPOSITORY, env=installation.settings.as_environment(), check=True, capture_output=True)
    yield Resumed(installation, installation.job(coco.id), installation.job(keras.id), again.id, written)
    installation.database.close()


def pictures_of_more(installation: Installation, folder: Path) -> Path:
    folder.mkdir()
    for path in (installation.settings.data_root / "datasets" / MORE / "images").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.slow
def test_the_half_trained_run_resumes_after_its_last_epoch(resumed, stored_database):
    with resumed.installation.database.reading() as session:
        run = session.get_one(Run, HALF_TRAINED)
        job = session.get_one(Job, run.job_id)
        now = {(metric.epoch, metric.name): metric.value for metric in runs.metrics(session, run.id)}
    assert (job.status, job.error, job.attempt) == (JobStatus.FINISHED, None, 2)
    assert run.best_epoch >= EPOCHS_DONE
    with closing(sqlite3.connect(stored_database)) as database:
        query = "SELECT epoch, name, value FROM metrics WHERE run_id = ?"
        before = {(epoch, name): value for epoch, name, value in database.execute(query, [HALF_TRAINED])}
    done = {key for key in before if key[0] <= EPOCHS_DONE}
    assert done and {key: now[key] for key in done} == {key: before[key] for key in done}
    again = {key: value for key, value in before.items() if key[0] == EPOCHS_DONE + 1}
    assert {key: now[key] for key in again} == pytest.approx(again, abs=0.01)  # from the same weights and optimizer
    assert {epoch for epoch, _ in now} == set(range(1, EPOCHS + 1))


@pytest.mark.slow
def test_no_finished_epoch_was_trained_again(resumed):
    """The same seed would give the same numbers, so that only files tell a resumed run from one begun anew."""
    of_done = {path: at for path, at in resumed.probes.items() if int(path.parent.name) <= EPOCHS_DONE}
    assert {path: path.stat().st_mtime_ns for path in of_done} == of_done
    folder = resumed.installation.settings.data_root / "runs" / HALF_TRAINED / "probe"
    assert [path.name for path in sorted(folder.iterdir())] == [f"{epoch:04d}" for epoch in range(1, EPOCHS + 1)]


@pytest.mark.slow
def test_the_resumed_run_has_its_gallery(resumed):
    with resumed.installation.database.reading() as session:
        own = runs.own_prediction_set(session, session.get_one(Run, HALF_TRAINED))
        predicted = runs.predictions(session, own.id)
    assert len(predicted) == 8
    assert min(prediction.truth_dice for prediction in predicted) > 0.7
    assert all(resumed.installation.files.exists(stored.prediction_key(own.id, each.image_id)) for each in predicted)


@pytest.mark.slow
def test_nothing_else_changed_and_doctor_finds_nothing_wrong(resumed):
    now = listed(resumed.installation)
    assert now.pop("half trained")[:2] == ("finished", EPOCHS)
    assert now == {name: row for name, row in SCORES.items() if name != "half trained"}
    assert findings(resumed.installation) == set()


@pytest.mark.slow
def test_a_stored_network_draws_the_masks_that_it_drew_before(resumed):
    with resumed.installation.database.reading() as session:
        new = session.get_one(PredictionSet, resumed.again)
        by_hash = {image.content_hash: image.id for image in session.query(Image).filter_by(dataset_id=new.dataset_id)}
        pairs = [(image.id, by_hash[image.content_hash]) for image in datasets.images(session, MORE)]
    assert len(pairs) == 2
    for before, now in pairs:
        expected = codec.decode_png(stored_file(stored.prediction_key(MORE_PREDICTED, before))).astype(int)
        drawn = codec.decode_png(resumed.installation.files.read(stored.prediction_key(new.id, now)))
        assert np.abs(drawn - expected).max() <= 2  # of 255: another processor rounds otherwise


@pytest.mark.slow
def test_a_stored_network_is_exported(resumed):
    assert (resumed.keras.status, resumed.keras.error) == (JobStatus.FINISHED, None)
    assert resumed.keras.result["difference"] < 1e-5
    with zipfile.ZipFile(resumed.installation.files.path(resumed.keras.result["key"])) as archive:
        assert any(name.endswith("model.keras") for name in archive.namelist())


@pytest.mark.slow
def test_annotations_come_out_as_before(resumed):
    assert (resumed.coco.status, resumed.coco.error) == (JobStatus.FINISHED, None)
    before = json.loads(stored_file(f"predictions/{GALLERY}/exports/coco/{COCO_JOB}.json"))
    now = json.loads(resumed.installation.files.read(resumed.coco.result["key"]))
    for part in ("images", "categories", "annotations"):
        assert before[part] and now[part] == before[part]
