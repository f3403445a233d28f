"""The check-up and what it repairs, on real files and a real database."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from sqlalchemy import text

from db import datasets, jobs, runs, submissions
from db.columns import new_id, utc_now
from db.inventory import Inventory
from db.models import Job, JobKind, JobStatus, Label, Prediction
from db.repair import repairing
from engine.care.backup import named_keys
from engine.care.checkup import check
from engine.care.repair import repair
from engine.imaging import codec
from engine.labelling.base import find_method
from engine.store import keys as stored
from engine.work.worker import work
from tests.support.calling import call
from tests.support.drawn_class_run import add_class_dataset, add_class_run, set_of
from tests.support.installation import add_discs, disc
from tests.support.object_measurements import add_spots, measure
from tests.support.predicted import add_label_set, add_run
from tests.support.training_job import submit_train

LOST_AFTER_S = 60.0


def examine(installation, quick=False, now=None):
    return check(Inventory(installation.database), installation.files, now or utc_now(), LOST_AFTER_S, quick)


def repaired(installation, report):
    transaction = partial(repairing, installation.database, LOST_AFTER_S)
    return list(repair(report, installation.files, transaction, installation.database.migrate, "2026-01-01T000000"))


def kinds(report):
    return sorted(finding.kind for finding in report.findings)


def image_ids(installation, dataset):
    with installation.database.reading() as session:
        return sorted(image.id for image in datasets.images(session, dataset.id))


@pytest.fixture
def full(installation):
    """A dataset, its labels and a run with predictions and a model file; all is well."""
    dataset = add_discs(installation, 4)
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "first", label_set_id=label_set_id)
    with installation.files.writing(stored.best_model_key(run.id)) as beside:
        np.savez(beside.with_suffix(".npz"), weights=np.arange(1000))
        beside.with_suffix(".npz").replace(beside)
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
    return installation, dataset, label_set_id, run, set_id


def test_an_installation_in_order_is_clean(full):
    installation = full[0]
    report = examine(installation)
    assert report.clean, report.sentences()
    assert report.checked["images"] == report.checked["labels"] == report.checked["predictions"] == 4
    assert report.sentences()[-1] == "Everything is as it should be."


def test_images_truth_and_models_that_are_gone_are_reported_and_never_repaired(full):
    installation, dataset, _, run, _ = full
    first, second, third = image_ids(installation, dataset)[:3]
    installation.files.delete(stored.image_key(dataset.id, first))
    installation.files.path(stored.image_key(dataset.id, second)).write_bytes(b"no picture")
    installation.files.path(stored.truth_key(dataset.id, third)).write_bytes(b"")
    model = installation.files.path(stored.best_model_key(run.id))
    model.write_bytes(model.read_bytes()[:-200])
    report = examine(installation)
    assert kinds(report) == ["damaged_image", "damaged_model", "damaged_truth", "missing_image"]
    assert not any(finding.repair for finding in report.findings)
    assert any("restore it from a backup" in finding.sentence for finding in report.findings)
    before = sorted(path.relative_to(installation.files.root) for path in installation.files.root.rglob("*.png"))
    repaired(installation, report)
    assert before == sorted(
        path.relative_to(installation.files.root) for path in installation.files.root.rglob("*.png")
    )
    assert model.exists()
    assert kinds(examine(installation, quick=True)) == ["missing_image"]


def test_a_picture_of_another_size_than_its_row_says_is_damaged(full):
    installation, dataset, *_ = full
    key = stored.image_key(dataset.id, image_ids(installation, dataset)[0])
    installation.files.write(key, codec.encode_png(np.zeros((32, 64, 3), np.uint8)))
    assert [(f.kind, f.items) for f in examine(installation).findings] == [("damaged_image", (key,))]


def test_labels_whose_class_maps_are_gone_are_removed_whole(installation, tmp_path):
    dataset = add_discs(installation, 3)
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(3):
        classes = disc(seed=number)[1] * np.where(np.arange(64) < 32, 1, 2).astype(np.uint8)
        (folder / f"disc {number}.png").write_bytes(codec.encode_png(classes))
    source = {"kind": "folder", "path": str(folder)}
    with installation.database.writing() as session:
        label_set, _ = submissions.submit_masks(session, dataset.id, "halves", source, "a tool", "test")
    work(installation.database, installation.settings)
    assert examine(installation).clean, examine(installation).sentences()
    gone = image_ids(installation, dataset)[0]
    installation.files.delete(stored.label_classes_key(label_set.id, gone))
    report = examine(installation)
    assert kinds(report) == ["missing_label_class"]
    assert "1 class map is gone in mask set 'halves'." in report.findings[0].sentence
    assert (report.checked["labels"], report.checked["class maps"]) == (3, 3)
    repaired(installation, report)
    assert not installation.files.exists(stored.label_key(label_set.id, gone))
    assert not {"missing_label_class", "orphan"} & set(kinds(examine(installation)))


def test_class_maps_of_predictions_are_counted_apart_from_them(installation):
    dataset = add_class_dataset(installation, 3)
    set_id = set_of(installation, add_class_run(installation, dataset))
    gone = image_ids(installation, dataset)[0]
    installation.files.delete(stored.prediction_classes_key(set_id, gone))
    report = examine(installation)
    assert (report.checked["predictions"], report.checked["class maps"]) == (3, 3)
    assert "missing_prediction_class" in kinds(report) and "missing_prediction" not in kinds(report)
    repaired(installation, report)
    assert not installation.files.exists(stored.prediction_key(set_id, gone))
    assert "missing_prediction_class" not in kinds(examine(installation))


def test_thumbnails_are_created_again(full):
    installation, dataset, *_ = full
    gone, damaged = image_ids(installation, dataset)[:2]
    installation.files.delete(stored.thumb_key(dataset.id, gone))
    installation.files.path(stored.thumb_key(dataset.id, damaged)).write_bytes(b"RIFF")
    repaired(installation, examine(installation))
    assert examine(installation).clean
    expected = codec.thumbnail(codec.decode_png(installation.files.read(stored.image_key(dataset.id, gone))))
    assert installation.files.read(stored.thumb_key(dataset.id, gone)) == expected


def test_predictions_whose_files_are_gone_are_drawn_again_on_retry(installation):
    dataset = add_discs(installation, 6)
    run, job = submit_train(installation, dataset)
    work(installation.database, installation.settings)
    assert examine(installation).clean, examine(installation).sentences()
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
    gone, damaged, unsure = image_ids(installation, dataset)[:3]
    installation.files.delete(stored.prediction_key(set_id, gone))
    installation.files.path(stored.prediction_key(set_id, damaged)).write_bytes(b"\x89PNG")
    installation.files.delete(stored.uncertainty_key(set_id, unsure))
    report = examine(installation)
    assert kinds(report) == ["damaged_prediction", "missing_prediction", "missing_uncertainty"]
    said = repaired(installation, report)
    assert any("Retry" in sentence for sentence in said)
    assert examine(installation).clean
    with installation.database.reading() as session:
        assert session.query(Prediction).count() == 3
    ended = installation.job(job.id)
    assert ended.status == JobStatus.FAILED and "Retry" in ended.error
    assert (installation.files.root / "lost+found/2026-01-01T000000" / stored.prediction_key(set_id, damaged)).exists()
    with installation.database.writing() as session:
        assert jobs.requeue(session, job.id)
    work(installation.database, installation.settings)
    assert installation.job(job.id).status == JobStatus.FINISHED
    after = examine(installation)
    assert kinds(after) == [], after.sentences()
    assert any("lost+found" in note for note in after.notes)
    with installation.database.reading() as session:
        assert session.query(Prediction).count() == 6


def test_labels_that_are_gone_are_drawn_again_but_for_those_a_person_dropped(installation):
    dataset = add_discs(installation, 5)
    with installation.database.writing() as session:
        params = find_method("threshold").params(foreground="lighter").model_dump(mode="json")
        label_set, job = submissions.submit_label(session, dataset.id, "set", "threshold", params, 0, "test")
    work(installation.database, installation.settings)
    first, second = image_ids(installation, dataset)[:2]
    before = installation.files.read(stored.label_key(label_set.id, first))
    with installation.database.writing() as session:
        session.get_one(Label, (label_set.id, second)).dropped = True
    for image_id in (first, second):
        installation.files.delete(stored.label_key(label_set.id, image_id))
    repaired(installation, examine(installation))
    with installation.database.writing() as session:
        assert session.get(Label, (label_set.id, first)) is None
        assert session.get_one(Label, (label_set.id, second)).dropped
        assert jobs.requeue(session, job.id)
    work(installation.database, installation.settings)
    assert installation.files.read(stored.label_key(label_set.id, first)) == before
    assert [f.items for f in examine(installation).findings] == [(stored.label_key(label_set.id, second),)]


def test_what_no_row_names_goes_to_lost_and_found_and_half_written_files_go(full):
    installation, dataset, label_set_id, run, set_id = full
    root, stranger = installation.files.root, new_id()
    orphans = [
        f"datasets/{dataset.id}/images/{stranger}.png",
        f"labels/{label_set_id}/{stranger}.png",
        f"predictions/{set_id}/{stranger}.png",
        f"predictions/{new_id()}/{stranger}.png",
        f"runs/{new_id()}/best.keras",
    ]
    half = [f"runs/{run.id}/best.1a2b3c4d.part.keras", f"datasets/{dataset.id}/truth/{stranger}.0a0a0a0a.part.png"]
    half.append("restore.part/.moving.json")  # of a restore that was killed as it ended
    for item in orphans + half:
        (root / item).parent.mkdir(parents=True, exist_ok=True)
        (root / item).write_bytes(item.encode())
    report = examine(installation)
    assert {finding.kind for finding in report.findings} == {"orphan", "half_written"}
    assert all(finding.harmless for finding in report.findings)
    repaired(installation, report)
    assert examine(installation).clean
    for item in orphans:
        assert (root / "lost+found/2026-01-01T000000" / item).read_bytes() == item.encode()
    assert not any((root / item).exists() for item in half)
    assert "Maskloom does not read" in (root / "lost+found/README.txt").read_text()


def test_a_cache_of_features_is_known_and_not_backed_up(full):
    installation, dataset, *_ = full
    key = stored.features_key(dataset.id, "0" * 16, "1" * 16)
    installation.files.write(key, b"computed again where it is gone")
    assert examine(installation).clean
    assert key not in list(named_keys(Inventory(installation.database), installation.files))
    half = installation.files.path(key).with_suffix(".1a2b3c4d.part.npz")
    half.write_bytes(b"cut off")
    report = examine(installation)
    assert kinds(report) == ["half_written"]
    repaired(installation, report)
    assert examine(installation).clean and installation.files.exists(key) and not half.exists()


def test_stale_uploads_go_but_not_those_that_a_failed_import_may_need(installation):
    dataset = add_discs(installation, 2)
    stale, wanted, fresh = new_id(), new_id(), new_id()
    with installation.database.writing() as session:
        job = jobs.submit(
            session, JobKind.IMPORT, {"dataset": dataset.id, "source": {"kind": "upload", "token": wanted}}
        )
        job.status = JobStatus.FAILED
    long_ago = time.time() - 8 * 24 * 3600
    for token, moment in ((stale, long_ago), (wanted, long_ago), (fresh, time.time())):
        folder = installation.files.path(stored.upload_folder(token))
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"picture")
        for path in (folder / "a.png", folder):
            os.utime(path, (moment, moment))
    report = examine(installation)
    assert [(f.kind, f.items) for f in report.findings] == [("stale_upload", (f"uploads/{stale}",))]
    repaired(installation, report)
    assert sorted(path.name for path in (installation.files.root / "uploads").iterdir()) == sorted([wanted, fresh])


def test_a_lost_job_is_ended_so_that_it_can_be_resumed(installation):
    dataset = add_discs(installation, 2)
    _, job = submit_train(installation, dataset)
    with installation.database.writing() as session:
        jobs.claim(session, "worker", 2, LOST_AFTER_S)
    with installation.database.writing() as session:
        session.get_one(Job, job.id).heartbeat_at = utc_now() - timedelta(hours=1)
    report = examine(installation)
    assert [(f.kind, f.items) for f in report.findings] == [("lost_job", (job.id,))]
    repaired(installation, report)
    assert examine(installation).clean
    assert installation.job(job.id).status == JobStatus.STOPPED
    with installation.database.writing() as session:
        assert jobs.requeue(session, job.id)


def test_a_set_that_lacks_rows_its_job_has_made_offers_retry(full):
    installation, dataset, _, run, set_id = full
    with installation.database.writing() as session:
        job = jobs.submit(session, JobKind.PREDICT, {"dataset": dataset.id, "run": run.id})
        job.status, job.result = JobStatus.FINISHED, {"images": 4, "prediction_set": set_id}
        runs.prediction_sets(session, run.id)[0].job_id = job.id
        session.delete(session.query(Prediction).first())
    report = examine(installation)
    assert kinds(report) == ["orphan", "short_predictions"]
    repaired(installation, report)
    assert installation.job(job.id).status == JobStatus.FAILED


def test_what_a_job_works_on_is_left_alone_even_if_it_began_after_the_check(full):
    installation, dataset, _, run, set_id = full
    orphan = installation.files.path(stored.prediction_key(set_id, new_id()))
    orphan.write_bytes(b"just written")
    gone = image_ids(installation, dataset)[0]
    installation.files.delete(stored.prediction_key(set_id, gone))
    report = examine(installation)
    assert kinds(report) == ["missing_prediction", "orphan"]
    with installation.database.writing() as session:
        jobs.submit(session, JobKind.PREDICT, {"dataset": dataset.id, "run": run.id})
    said = repaired(installation, report)
    assert all(sentence.startswith("Left alone, because a job works on it") for sentence in said)
    assert orphan.exists()
    with installation.database.reading() as session:
        assert session.query(Prediction).count() == 4
    assert "orphan" not in kinds(examine(installation))


def test_rows_that_point_nowhere_and_a_damaged_file_are_sqlites_own_words(installation):
    add_discs(installation, 3)
    with closing(sqlite3.connect(installation.files.root / "app.db")) as connection, connection:
        connection.execute("UPDATE images SET dataset_id = 'nobody'")
    report = examine(installation)
    assert kinds(report) == ["database"]
    assert "points at a row of datasets that is not there" in report.findings[0].items[0]
    installation.database.close()
    path = installation.files.root / "app.db"
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    path.write_bytes(bytes(data))
    assert kinds(examine(installation)) == ["database"]


def test_tables_of_another_version_are_told_and_older_ones_brought_up_to_date(installation):
    add_discs(installation, 2)
    with installation.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    report = examine(installation)
    assert kinds(report) == ["schema"] and "newer Maskloom" in report.findings[0].sentence
    assert not report.findings[0].repair


def test_the_command_ends_with_1_until_all_is_well(full):
    installation, dataset, *_ = full
    assert call(installation.settings, "doctor").returncode == 0
    shutil.rmtree(installation.files.root / "datasets" / dataset.id / "thumbs")
    told = call(installation.settings, "doctor", "--json", "--quick")
    assert told.returncode == 1
    finding = json.loads(told.stdout)["findings"][0]
    assert (finding["kind"], finding["count"]) == ("missing_thumbnail", 4)
    ended = call(installation.settings, "doctor", "--repair")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Created 4 thumbnails again." in ended.stdout and "Everything is as it should be." in ended.stdout


def test_no_database_is_made_by_looking_for_one(installation, tmp_path):
    elsewhere = installation.settings.model_copy(update={"data_root": tmp_path / "nowhere"})
    ended = call(elsewhere, "doctor")
    assert ended.returncode == 1 and "There is no database" in ended.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_measurement_whose_files_are_gone_or_damaged_is_measured_again_on_retry(installation):
    found = measure(installation, "truth", add_spots(installation).id)
    assert examine(installation).clean
    assert examine(installation).checked["measurements"] == 1
    installation.files.delete(stored.objects_key(found.id))
    kept, damaged = sorted(installation.files.keys(stored.number_maps_folder(found.id)))[:2]
    installation.files.write(damaged, b"no picture")
    report = examine(installation)
    assert kinds(report) == ["damaged_measurement"]
    assert report.findings[0].items == (stored.objects_key(found.id), damaged)
    assert repaired(installation, report)[0].startswith("Retry is offered now.")
    assert examine(installation).clean
    with installation.database.writing() as session:
        jobs.requeue(session, found.job_id)
    work(installation.database, installation.settings)
    assert examine(installation).clean
    assert installation.job(found.job_id).result == {"images": 3, "objects": 5}
    assert installation.files.exists(kept)


def test_measurements_are_backed_up_and_those_without_a_row_set_aside(installation):
    found = measure(installation, "truth", add_spots(installation).id)
    keys = set(named_keys(Inventory(installation.database), installation.files))
    assert set(installation.files.keys(stored.measurement_folder(found.id))) <= keys
    assert len(installation.files.keys(stored.measurement_folder(found.id))) == 5
    stray = stored.objects_key("f" * 32)
    installation.files.write(stray, b"PAR1")
    report = examine(installation)
    assert [finding.items for finding in report.findings] == [(stored.measurement_folder("f" * 32),)]
