"""The job that measures objects, on a real database, real files and real worker processes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from db import datasets, image_care, jobs, masks, measuring, recipes, runs
from db.datasets import InUse
from db.models import Dataset, Image, JobStatus, Measurement
from engine.core import fan_out, machine
from engine.exports import job as export
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.imaging import codec
from engine.measuring import objects_job
from engine.measuring.stored_masks import are_ids, stored_masks
from engine.store import keys as stored
from engine.store.local import LocalStore
from engine.work.context import JobFailed, JobStopped
from tests.support.installation import REPOSITORY, add_discs
from tests.support.leaving_out import leave_out
from tests.support.object_measurements import SPOTS, add_spots, measure, submit
from tests.support.predicted import add_label_set, add_run
from tests.support.training_job import Context

pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture
def dataset(installation):
    return add_spots(installation)


def tables(installation, measurement):
    with installation.files.local(stored.objects_key(measurement.id)) as path:
        objects = pd.read_parquet(path)
    with installation.files.local(stored.measured_images_key(measurement.id)) as path:
        return objects, pd.read_parquet(path)


def images_of(installation, dataset):
    with installation.database.reading() as session:
        return datasets.images(session, dataset.id)


def test_the_objects_of_truth_are_stored_with_their_images_and_maps(installation, dataset):
    found = measure(installation, "truth", dataset.id, "0.5um")
    objects, images = tables(installation, found)
    assert (found.images, found.objects, found.classes) == (3, 5, ["foreground"])
    assert images["count"].tolist() == [2, 3, 0]
    assert images["image"].tolist() == ["plate 0.png", "plate 1.png", "plate 2.png"]
    assert objects.groupby("image")["object"].apply(list).to_dict() == {
        "plate 0.png": [1, 2],
        "plate 1.png": [1, 2, 3],
    }
    for image, row in zip(images_of(installation, dataset), images.to_dict("records"), strict=True):
        numbers = codec.decode_png(installation.files.read(stored.number_map_key(found.id, image.id)))
        areas = objects.loc[objects["image_id"] == image.id, "area_px"].tolist()
        assert np.bincount(numbers.ravel())[1:].tolist() == areas
        assert row["covered_share"] == pytest.approx(sum(areas) / 96**2)
        assert row["density_per_mm2"] == pytest.approx(len(areas) / (96**2 * 0.25 / 1e6))
    assert objects["area_um2"].tolist() == pytest.approx((objects["area_px"] * 0.25).tolist())
    assert set(objects["pixel_size_source"]) == {"user"}
    assert np.isnan(images["mean_area_px"][2])
    assert not installation.files.keys(stored.parts_folder(found.id))


def test_predictions_and_mask_sets_are_measured_with_their_probability(installation):
    dataset = add_discs(installation, 2)
    label_set_id = add_label_set(installation, dataset, shift_px=0)
    run = add_run(installation, dataset, "run", shifts_px=(0,))
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
    for owner, owner_id, probability in (("prediction_set", set_id, 0.9), ("label_set", label_set_id, 1.0)):
        objects, images = tables(installation, measure(installation, owner, owner_id))
        assert images["count"].tolist() == [1, 1]
        assert objects["mean_probability"].tolist() == pytest.approx([probability] * 2, abs=0.01)
        assert "area_um2" not in objects
    objects, _ = tables(installation, measure(installation, "prediction_set", set_id, threshold=0.3))
    assert objects["mean_probability"].max() < 0.9  # the border of 0.4 belongs to it now


def test_excluded_images_and_what_is_left_out_are_not_measured(installation, dataset):
    first, second, _ = images_of(installation, dataset)
    with installation.database.writing() as session:
        image_care.exclude_images(session, dataset.id, [second.id])
    region = np.zeros((96, 96), bool)
    region[:40] = True
    leave_out(installation, dataset.id, region)
    objects, images = tables(installation, measure(installation, "truth", dataset.id))
    assert images["image_id"].tolist() == [first.id, images_of(installation, dataset)[-1].id]
    assert images["count"].tolist() == [1, 0]
    assert objects["centroid_y_px"].tolist() == [pytest.approx(60, abs=0.5)]


def test_a_stopped_job_resumes_with_what_is_left(installation, dataset, monkeypatch):
    monkeypatch.setattr(objects_job, "BATCH", 1)
    whole = tables(installation, measure(installation, "truth", dataset.id))
    found, job = submit(installation, "truth", dataset.id)
    with pytest.raises(JobStopped):
        objects_job.run(job, Context(installation, stop_after=1))
    first = images_of(installation, dataset)[0]
    before = installation.files.version(stored.number_map_key(found.id, first.id))
    context = Context(installation)
    assert objects_job.run(job, context) == {"images": 3, "objects": 5}
    assert [entry.done for entry in context.said] == [1, 2, 3]
    assert installation.files.version(stored.number_map_key(found.id, first.id)) == before
    for table, resumed in zip(whole, tables(installation, found), strict=True):
        pd.testing.assert_frame_equal(table, resumed)


def test_masks_that_change_while_a_job_is_stopped_are_all_measured_again(installation, dataset):
    found, job = submit(installation, "truth", dataset.id)
    with pytest.raises(JobStopped):
        objects_job.run(job, Context(installation, stop_after=1))
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).truth_version += 1
    context = Context(installation)
    objects_job.run(job, context)
    assert [entry.done for entry in context.said] == [0, 1, 2, 3]
    assert tables(installation, found)[1]["count"].tolist() == [2, 3, 0]


def test_a_measurement_says_when_its_masks_have_changed(installation, dataset):
    found = measure(installation, "truth", dataset.id)
    with installation.database.writing() as session:
        assert measuring.stamp_of(session, "truth", dataset.id) == found.stamp
        image_care.exclude_images(session, dataset.id, [images_of(installation, dataset)[0].id])
        assert measuring.stamp_of(session, "truth", dataset.id) != found.stamp


def test_a_worker_process_measures(installation, dataset):
    found, job = submit(installation, "truth", dataset.id, split=True)
    command = [sys.executable, "-m", "engine.work.worker"]
    environment = installation.settings.as_environment()
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, timeout=240)
    assert installation.job(job.id).status == JobStatus.FINISHED
    assert tables(installation, found)[1]["count"].tolist() == [2, 3, 0]


def test_a_file_that_is_gone_ends_the_job_with_a_sentence(installation, dataset):
    _, job = submit(installation, "truth", dataset.id)
    installation.files.delete(stored.truth_key(dataset.id, images_of(installation, dataset)[1].id))
    with pytest.raises(JobFailed, match=r"The stored file .* is gone"):
        objects_job.run(job, Context(installation))


def test_a_killed_process_ends_the_job_with_a_sentence(installation, dataset, monkeypatch):
    class Killed(ThreadPoolExecutor):
        def __init__(self, cores, **options):
            super().__init__(cores)

        def submit(self, *_):
            return super().submit(self._die)

        def _die(self):
            raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(fan_out, "ProcessPoolExecutor", Killed)
    _, job = submit(installation, "truth", dataset.id)
    with pytest.raises(JobFailed, match="was killed, most likely because memory ran out"):
        objects_job.run(job, Context(installation))


def test_an_image_with_no_object_has_columns_and_no_rows(installation):
    dataset = add_spots(installation)
    objects, images = tables(installation, measure(installation, "truth", dataset.id, least_area_px=5000))
    assert len(objects) == 0
    assert {"image", "area_px", "circularity"} <= set(objects)
    assert images["count"].tolist() == [0, 0, 0]


def test_ids_in_truth_are_objects_even_where_they_touch(installation):
    dataset = add_spots(installation)
    image = images_of(installation, dataset)[0]
    numbers = np.zeros((96, 96), np.uint8)
    numbers[10:30, 10:30], numbers[10:30, 30:50] = 3, 4
    installation.files.write(stored.truth_key(dataset.id, image.id), codec.encode_png(numbers))
    with installation.database.writing() as session:
        session.get_one(Dataset, dataset.id).lookup = [0, *([1] * 255)]
        session.get_one(Image, image.id).truth_values = [[0, 8416, 0, 0, 1], [3, 400, 0, 0, 1], [4, 400, 0, 0, 1]]
    objects, _ = tables(installation, measure(installation, "truth", dataset.id))
    assert objects.loc[objects["image_id"] == image.id, "area_px"].tolist() == [400, 400]


@pytest.mark.parametrize(
    ("values", "codes", "ids"),
    [
        ([[0, 9, 0, 0, 1], [1, 9, 0, 0, 1], [2, 9, 0, 0, 1]], [], True),
        ([[0, 9, 0, 0, 1], [1, 9, 0, 0, 7], [2, 9, 0, 0, 5]], [], False),  # classes, in many places
        ([[0, 9, 0, 0, 1], [128, 9, 0, 0, 1], [255, 9, 0, 0, 1]], [], False),  # grey levels
        ([[0, 9, 0, 0, 1], [1, 9, 0, 0, 1], [2, 9, 0, 0, 1]], [[1, "#ff0000"], [2, "#00ff00"]], False),
        ([[0, 9], [1, 9], [2, 9]], [], False),  # of an older import
        ([[0, 9, 0, 0, 1], [200, 9, 0, 0, 1], [254, 9, 0, 0, 1]], [[200, 700]], False),  # too many ids for their codes
    ],
)
def test_truth_holds_ids_only_where_each_is_one_piece(values, codes, ids):
    assert are_ids([0, *([1] * 255)], codes, values) == ids


def test_deleting_the_masks_or_the_dataset_takes_measurements_with_it(installation):
    dataset = add_discs(installation, 2)
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "run")
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
    of_labels = measure(installation, "label_set", label_set_id)
    of_set = measure(installation, "prediction_set", set_id)
    of_truth = measure(installation, "truth", dataset.id)
    with installation.database.writing() as session:
        assert ("measurement", of_labels.id) in recipes.delete_label_set(session, label_set_id)
        assert ("measurement", of_set.id) in runs.delete_run(session, run.id)
        assert ("measurement", of_truth.id) in datasets.delete_dataset(session, dataset.id)
    with installation.database.reading() as session:
        assert session.query(Measurement).count() == 0


def test_a_measurement_that_is_asked_for_twice_at_once_is_one(installation, dataset):
    first, job = submit(installation, "truth", dataset.id)
    assert submit(installation, "truth", dataset.id)[1].id == job.id
    assert submit(installation, "truth", dataset.id, split=True)[0].id != first.id
    assert submit(installation, "truth", dataset.id, "0.5um")[0].id != first.id
    with installation.database.writing() as session:
        jobs.request_stop(session, job.id)
    assert submit(installation, "truth", dataset.id)[0].id != first.id


def test_masks_are_not_deleted_while_they_are_measured(installation):
    dataset = add_discs(installation, 2)
    label_set_id = add_label_set(installation, dataset)
    found, _ = submit(installation, "label_set", label_set_id)
    with installation.database.writing() as session:
        with pytest.raises(InUse, match="Its objects are being measured"):
            recipes.delete_label_set(session, label_set_id)
        with pytest.raises(InUse, match=r"\(objects\)"):
            datasets.delete_dataset(session, dataset.id)
        with pytest.raises(InUse, match="The objects are being measured"):
            measuring.delete_measurement(session, found.id)


def test_formats_get_tables_and_maps(installation, dataset, tmp_path):
    found = measure(installation, "truth", dataset.id, "0.5x0.25um")
    seen: list[MeasuredObjects] = []

    def write(objects, target, progress):
        counts = [int(numbers.max()) for _, numbers in objects.maps()]
        target.write_text(f"{counts} {len(pd.read_parquet(objects.objects))}")
        progress(1)
        seen.append(objects)

    what = ObjectFormat(name="probe", title="Probe", sentence="", suffix="txt", write=write)
    payload = {"owner": "measurement", "measurement": found.id, "dataset": dataset.id, "threshold": None}
    details = export._write(Context(installation), payload, what, tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "[2, 3, 0] 5"
    assert details == {"images": 3, "objects": 5}
    first = seen[0].images[0]
    assert (first.name, first.width, first.height) == ("plate 0.png", 96, 96)
    assert (seen[0].images[0].scale.width_um, seen[0].images[0].scale.height_um) == (0.5, 0.25)
    assert seen[0].note == "Objects of the truth of spots, measured with Maskloom."


def test_there_is_one_way_to_read_stored_masks(installation, dataset):
    with installation.database.reading() as session:
        reader = stored_masks(installation.files, masks.mask_rows(session, "truth", dataset.id))
    counts = [len(SPOTS[number]) for number in range(3)]
    maps = [reader.picture(image, 0.5).class_map for image in reader.rows.images]
    assert [codec.encode_png(found) != b"" and int(found.max()) for found in maps] == [min(n, 1) for n in counts]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the job catches it."""


class DyingStore(LocalStore):
    """Ends the process in place of its nth change: while a file is written beside its target, or before a deletion."""

    left = 0

    @contextmanager
    def writing(self, key):
        with super().writing(key) as path:
            yield path
            if self._dies():
                path.write_bytes(path.read_bytes()[:5])
                raise Killed

    def delete(self, key):
        if self._dies():
            raise Killed
        super().delete(key)

    def _dies(self) -> bool:
        object.__setattr__(self, "left", self.left - 1)
        return self.left == 0


def test_a_job_that_is_killed_at_any_change_resumes_to_the_same_tables(installation, dataset, monkeypatch):
    monkeypatch.setattr(objects_job, "BATCH", 1)
    whole = tables(installation, measure(installation, "truth", dataset.id))
    found, job = submit(installation, "truth", dataset.id)
    for nth in range(1, 100):
        context = Context(installation)
        context.artifacts = DyingStore(installation.files.root)
        object.__setattr__(context.artifacts, "left", nth)
        installation.files.delete(stored.measurement_folder(found.id))
        try:
            objects_job.run(job, context)
        except Killed:
            objects_job.run(job, Context(installation))
        for table, resumed in zip(whole, tables(installation, found), strict=True):
            pd.testing.assert_frame_equal(table, resumed)
        folder = stored.measurement_folder(found.id)
        assert installation.files.unfinished(folder) == []
        assert len(installation.files.keys(folder)) == 2 + 3
        if context.artifacts.left > 0:
            break
    assert nth > 15


@pytest.mark.parametrize("what", ["objects", "images"])
def test_a_damaged_part_ends_the_job_with_a_sentence_and_is_measured_again(installation, dataset, monkeypatch, what):
    monkeypatch.setattr(objects_job, "BATCH", 1)
    found, job = submit(installation, "truth", dataset.id)
    with pytest.raises(JobStopped):
        objects_job.run(job, Context(installation, stop_after=1))
    key = stored.part_key(found.id, 0, what)
    installation.files.write(key, installation.files.read(key)[:40])
    with pytest.raises(JobFailed, match="Try again"):
        objects_job.run(job, Context(installation))
    assert objects_job.run(job, Context(installation)) == {"images": 3, "objects": 5}
