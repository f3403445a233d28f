"""The import job on real files and a real database: what is stored, what is reported, and what a retry does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db import datasets, jobs, submissions
from db.models import Dataset, Image, Job, new_id
from db.records import DatabaseRecords
from engine.datasets import ingest, sample
from engine.datasets import job as import_images
from engine.imaging import codec
from engine.store import artifacts as stored
from engine.work.context import JobFailed, JobStopped
from tests.assets import bad_files
from tests.assets.bad_files import disk, encoded, picture
from tests.support.installation import SHARED_DATA, House


class Context:
    """A job's context that stops, or breaks, after so many images."""

    def __init__(self, house: House, stop_after: int | None = None, break_after: int | None = None) -> None:
        self.artifacts = house.files
        self.records = DatabaseRecords(house.database)
        self.seen: list[tuple[int, int, str]] = []
        self._stop_after, self._break_after = stop_after, break_after

    def progress(self, done: int, total: int, text: str = "") -> None:
        self.seen.append((done, total, text))
        if self._break_after == done:
            raise KeyboardInterrupt

    def should_stop(self) -> bool:
        return self._stop_after is not None and len(self.seen) >= self._stop_after


def submit(house: House, source: dict[str, Any], name: str = "set") -> Job:
    with house.database.writing() as session:
        _, job = submissions.submit_import(session, name, source)
    job.attempt = 1
    return job


def folder_job(house: House, folder: Path, files: dict[str, bytes]) -> Job:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return submit(house, {"kind": "folder", "path": str(folder)})


def rows(house: House, job: Job) -> tuple[Dataset, list[Image], dict[str, tuple[bool, str]]]:
    with house.database.reading() as session:
        dataset = session.get_one(Dataset, job.payload["dataset"])
        report = datasets.report(session, dataset.id)
        assert len({entry.name for entry in report}) == len(report)
        return dataset, datasets.images(session, dataset.id), {e.name: (e.taken, e.reason) for e in report}


def many(count: int, truth: bool = True) -> dict[str, bytes]:
    files = {f"images/{number:03d}.png": encoded(picture(seed=number)) for number in range(count)}
    return files | ({f"truth/{number:03d}.png": encoded(disk()) for number in range(count)} if truth else {})


def test_files_rows_and_report(house, tmp_path):
    files = {
        "images/первый.png": encoded(picture(seed=1)),
        "truth/первый.png": encoded(disk(value=1)),
        "images/second.bmp": encoded(picture(seed=2), "BMP"),
        "images/third.png": encoded(picture(seed=1)),
        "truth/third.png": encoded(disk()),
        "images/broken.jpg": bad_files.truncated_jpeg(),
        "notes.txt": b"x",
    }
    job = folder_job(house, tmp_path / "in", files)
    context = Context(house)
    result = import_images.run(job, context)
    dataset, images, report = rows(house, job)
    assert result == {"dataset": dataset.id, "images": 2, "truth": 1, "taken": 3, "skipped": 4}
    assert [image.name for image in images] == ["images/second.bmp", "images/third.png"]
    assert report["images/первый.png"] == (False, "It is the same picture as images/third.png, pixel for pixel.")
    assert not report["truth/первый.png"][0]
    assert report.keys() == files.keys()
    assert context.seen[-1][:2] == (4, 4)

    third = images[1]
    np.testing.assert_array_equal(
        codec.decode_png(house.files.read(stored.image_key(dataset.id, third.id))), picture(seed=1)
    )
    np.testing.assert_array_equal(codec.decode_png(house.files.read(stored.truth_key(dataset.id, third.id))), disk())
    assert house.files.read(stored.thumb_key(dataset.id, third.id))[8:12] == b"WEBP"
    assert (third.width, third.height, third.has_truth) == (64, 48, True)
    assert third.truth_values == [[0, int((disk() == 0).sum())], [255, int((disk() > 0).sum())]]
    assert third.content_hash == ingest.content_hash(picture(seed=1))
    assert [entry["name"] for entry in dataset.classes] == ["background", "foreground"]
    assert dataset.lookup[255] == 1
    assert (dataset.image_count, dataset.truth_count) == (2, 1)


def test_a_zip(house, tmp_path):
    path = tmp_path / "set.zip"
    path.write_bytes(bad_files.zipped({f"deep/er/{name}": data for name, data in many(3).items()}))
    job = submit(house, {"kind": "zip", "path": str(path)})
    assert import_images.run(job, Context(house))["truth"] == 3


def test_an_upload_is_cleared_when_it_is_in(house):
    token = new_id()
    house.files.write(stored.upload_folder(token) + "/a.png", encoded(picture()))
    job = submit(house, {"kind": "upload", "token": token})
    assert import_images.run(job, Context(house))["images"] == 1
    assert not house.files.exists(stored.upload_folder(token))


def test_the_sample(house, monkeypatch):
    monkeypatch.setattr(sample, "COUNT", 3)
    job = submit(house, {"kind": "sample"})
    assert import_images.run(job, Context(house)) | {"dataset": ""} == {
        "dataset": "",
        "images": 3,
        "truth": 3,
        "taken": 3,
        "skipped": 0,
    }
    dataset, images, _ = rows(house, job)
    image, mask = sample.scene(0)
    np.testing.assert_array_equal(codec.decode_png(house.files.read(stored.image_key(dataset.id, images[0].id))), image)
    values = codec.decode_png(house.files.read(stored.truth_key(dataset.id, images[0].id)))
    np.testing.assert_array_equal(np.asarray(dataset.lookup)[values] > 0, mask)


def test_a_retry_after_a_crash_doubles_nothing_and_loses_nothing(house, tmp_path):
    job = folder_job(house, tmp_path / "in", many(50) | {"images/copy.png": encoded(picture(seed=7))})
    with pytest.raises(KeyboardInterrupt):
        import_images.run(job, Context(house, break_after=30))
    assert 0 < len(rows(house, job)[1]) < 30
    job.attempt = 2
    result = import_images.run(job, Context(house))
    assert (result["images"], result["truth"], result["skipped"]) == (50, 50, 1)
    dataset, images, report = rows(house, job)
    assert len(images) == 50
    assert len(report) == 101
    assert sum(not taken for taken, _ in report.values()) == 1
    assert len(house.files.keys(stored.dataset_folder(dataset.id))) == 150


def test_a_stop_keeps_what_was_taken_whole(house, tmp_path):
    job = folder_job(house, tmp_path / "in", many(12))
    with pytest.raises(JobStopped) as stopped:
        import_images.run(job, Context(house, stop_after=5))
    dataset, images, report = rows(house, job)
    assert stopped.value.result["images"] == len(images) == dataset.image_count == 5
    assert dataset.classes
    assert len(report) == 10
    for image in images:
        assert house.files.exists(stored.image_key(dataset.id, image.id))


def test_more_images_into_a_dataset_that_has_some(house, tmp_path):
    first = folder_job(house, tmp_path / "in", many(2))
    import_images.run(first, Context(house))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "new.png").write_bytes(encoded(picture(seed=99)))
    (tmp_path / "more" / "old.png").write_bytes(encoded(picture(seed=0)))
    with house.database.writing() as session:
        session.get_one(Job, first.id).status = "finished"
    with house.database.writing() as session:
        source = {"kind": "folder", "path": str(tmp_path / "more")}
        job = submissions.submit_more_images(session, first.payload["dataset"], source)
    job.attempt = 1
    assert import_images.run(job, Context(house))["images"] == 3
    _, images, report = rows(house, job)
    assert report["old.png"] == (False, "It is the same picture as images/000.png, pixel for pixel.")
    assert [image.position for image in images] == [1, 2, 3]


def test_one_image_and_all_black_truth(house, tmp_path):
    job = folder_job(house, tmp_path / "in", {"a.png": encoded(picture()), "mask/a.png": encoded(disk(value=0))})
    assert import_images.run(job, Context(house))["images"] == 1
    dataset, images, _ = rows(house, job)
    assert images[0].has_truth
    assert [entry["name"] for entry in dataset.classes] == ["background"]


def test_images_alone_leave_the_classes_open(house, tmp_path):
    job = folder_job(house, tmp_path / "in", many(2, truth=False))
    assert import_images.run(job, Context(house))["truth"] == 0
    assert rows(house, job)[0].classes == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"truth/a.png": encoded(disk())}, "No image could be taken. truth/a.png: It is truth"),
        ({"a.jpg": bad_files.text_named_jpg()}, "No image could be taken. a.jpg: It is a text file"),
        ({".hidden.png": encoded(disk())}, "There are no images in it"),
    ],
)
def test_nothing_to_take_is_a_sentence_and_the_report_stays(house, tmp_path, files, sentence):
    job = folder_job(house, tmp_path / "in", files)
    with pytest.raises(JobFailed, match=sentence):
        import_images.run(job, Context(house))
    _, images, report = rows(house, job)
    assert images == []
    assert report.keys() == {name for name in files if not name.startswith(".")}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(bad_files.zipped({}), "empty"), (b"no zip", "no zip at all"), (bad_files.zip_bomb(), "zip bomb")],
)
def test_a_source_that_cannot_be_read_leaves_what_was_there(house, tmp_path, data, sentence):
    first = folder_job(house, tmp_path / "in", many(2))
    import_images.run(first, Context(house))
    path = tmp_path / "bad.zip"
    path.write_bytes(data)
    job = submit(house, {"kind": "zip", "path": str(path)}, name="other")
    job.payload = {**job.payload, "dataset": first.payload["dataset"]}
    with pytest.raises(JobFailed, match=sentence):
        import_images.run(job, Context(house))
    assert rows(house, first)[0].image_count == 2


def test_a_kind_of_source_that_does_not_exist(house):
    with pytest.raises(JobFailed, match="'cloud'"):
        import_images.run(submit(house, {"kind": "cloud"}), Context(house))


def test_real_images_with_three_classes(house, tmp_path):
    files = sorted((SHARED_DATA / "eggs-and-pans").glob("*/*.*"))
    if not files:
        pytest.skip("no real images here")
    for file in files:
        if file.stem.endswith("3"):  # a tenth of them
            folder = tmp_path / "in" / file.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    job = submit(house, {"kind": "folder", "path": str(tmp_path / "in")})
    result = import_images.run(job, Context(house))
    dataset, images, report = rows(house, job)
    assert result["truth"] > 10
    assert len(images) > result["truth"]
    assert [entry["value"] for entry in dataset.classes] == [0, 128, 255]
    assert all("pixel for pixel" in reason for taken, reason in report.values() if not taken)


def test_a_picture_that_is_imported_again_brings_back_its_files_that_are_gone(house, tmp_path):
    files = many(3)
    job = folder_job(house, tmp_path / "in", files)
    import_images.run(job, Context(house))
    _, images, _ = rows(house, job)
    keys = [key(job.payload["dataset"], images[1].id) for key in (stored.image_key, stored.thumb_key, stored.truth_key)]
    before = [house.files.read(key) for key in keys]
    for key in keys:
        house.files.delete(key)
    with house.database.writing() as session:
        jobs.request_stop(session, job.id)  # it never was a worker's, so nothing else ends it
        again = submissions.submit_more_images(session, job.payload["dataset"], job.payload["source"])
    again.attempt = 1
    result = import_images.run(again, Context(house))
    assert [house.files.read(key) for key in keys] == before
    assert result["images"] == 3
