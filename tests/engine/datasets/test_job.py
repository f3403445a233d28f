"""The import job on real files and a real database: what is stored, what is reported, and what a retry does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db import datasets, jobs, submissions
from db.columns import new_id
from db.models import Dataset, Image, Job
from engine.datasets import ingest, sample
from engine.datasets import job as import_images
from engine.imaging import codec
from engine.store import keys as stored
from engine.work.context import BadSource, JobFailed, JobStopped
from tests.assets import bad_files
from tests.assets.bad_files import disk, encoded, picture
from tests.assets.bad_images import tiff
from tests.support.installation import Installation
from tests.support.shared_data import SHARED_DATA


class Context:
    """A job's context that stops, or breaks, after so many images."""

    def __init__(
        self, installation: Installation, stop_after: int | None = None, break_after: int | None = None
    ) -> None:
        self.artifacts = installation.files
        self.reading, self.writing = installation.database.reading, installation.database.writing
        self.seen: list[tuple[int, int, str]] = []
        self._stop_after, self._break_after = stop_after, break_after

    def progress(self, done: int, total: int, *, subject: str, **report: Any) -> None:
        self.seen.append((done, total, subject))
        if self._break_after == done:
            raise KeyboardInterrupt

    def should_stop(self) -> bool:
        return self._stop_after is not None and len(self.seen) >= self._stop_after


def submit(installation: Installation, source: dict[str, Any], name: str = "set") -> Job:
    with installation.database.writing() as session:
        _, job = submissions.submit_import(session, name, source)
    job.attempt = 1
    return job


def folder_job(installation: Installation, folder: Path, files: dict[str, bytes]) -> Job:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return submit(installation, {"kind": "folder", "path": str(folder)})


def rows(installation: Installation, job: Job) -> tuple[Dataset, list[Image], dict[str, tuple[bool, str]]]:
    with installation.database.reading() as session:
        dataset = session.get_one(Dataset, job.payload["dataset"])
        report = datasets.report(session, dataset.id)
        assert len({entry.name for entry in report}) == len(report)
        return dataset, datasets.images(session, dataset.id), {e.name: (e.taken, e.reason) for e in report}


def many(count: int, truth: bool = True) -> dict[str, bytes]:
    files = {f"images/{number:03d}.png": encoded(picture(seed=number)) for number in range(count)}
    return files | ({f"truth/{number:03d}.png": encoded(disk()) for number in range(count)} if truth else {})


def test_files_rows_and_report(installation, tmp_path):
    files = {
        "images/первый.png": encoded(picture(seed=1)),
        "truth/первый.png": encoded(disk(value=1)),
        "images/second.bmp": encoded(picture(seed=2), "BMP"),
        "images/third.png": encoded(picture(seed=1)),
        "truth/third.png": encoded(disk()),
        "images/broken.jpg": bad_files.truncated_jpeg(),
        "notes.txt": b"x",
    }
    job = folder_job(installation, tmp_path / "in", files)
    context = Context(installation)
    result = import_images.run(job, context)
    dataset, images, report = rows(installation, job)
    notes = ["Paired: truth/ beside images/ (2)."]
    assert result == {"dataset": dataset.id, "images": 2, "truth": 1, "taken": 3, "skipped": 4, "notes": notes}
    assert [image.name for image in images] == ["images/second.bmp", "images/third.png"]
    assert report["images/первый.png"] == (False, "It is the same picture as images/third.png, pixel for pixel.")
    assert not report["truth/первый.png"][0]
    assert report.keys() == files.keys()
    assert context.seen[-1][:2] == (4, 4)

    third = images[1]
    np.testing.assert_array_equal(
        codec.decode_png(installation.files.read(stored.image_key(dataset.id, third.id))), picture(seed=1)
    )
    np.testing.assert_array_equal(
        codec.decode_png(installation.files.read(stored.truth_key(dataset.id, third.id))), disk()
    )
    assert installation.files.read(stored.thumb_key(dataset.id, third.id))[8:12] == b"WEBP"
    assert (third.width, third.height, third.has_truth) == (64, 48, True)
    assert [row[:2] for row in third.truth_values] == [[0, int((disk() == 0).sum())], [255, int((disk() > 0).sum())]]
    assert third.content_hash == ingest.content_hash(picture(seed=1))
    assert [entry["name"] for entry in dataset.classes] == ["background", "foreground"]
    assert dataset.lookup[255] == 1
    assert (dataset.image_count, dataset.truth_count) == (2, 1)


def test_a_zip(installation, tmp_path):
    path = tmp_path / "set.zip"
    path.write_bytes(bad_files.zipped({f"deep/er/{name}": data for name, data in many(3).items()}))
    job = submit(installation, {"kind": "zip", "path": str(path)})
    assert import_images.run(job, Context(installation))["truth"] == 3


def test_an_upload_is_cleared_when_it_is_in(installation):
    token = new_id()
    installation.files.write(stored.upload_folder(token) + "/a.png", encoded(picture()))
    job = submit(installation, {"kind": "upload", "token": token})
    assert import_images.run(job, Context(installation))["images"] == 1
    assert not installation.files.exists(stored.upload_folder(token))


def test_an_upload_that_cannot_be_used_is_deleted_and_what_was_ignored_is_reported(installation):
    token = new_id()
    installation.files.write(stored.upload_folder(token) + "/a.png", b"no picture")
    source = {"kind": "upload", "token": token, "ignored": ["notes.docx"]}
    job = submit(installation, source)
    with pytest.raises(BadSource):
        import_images.run(job, Context(installation))
    assert not installation.files.exists(stored.upload_folder(token))
    with installation.database.reading() as session:
        report = {entry.name: entry.reason for entry in datasets.report(session, job.payload["dataset"])}
    assert set(report) == {"a.png", "notes.docx"} and ".docx are not read" in report["notes.docx"]


def test_the_sample(installation, monkeypatch):
    monkeypatch.setattr(sample, "COUNT", 3)
    job = submit(installation, {"kind": "sample"})
    assert import_images.run(job, Context(installation)) | {"dataset": ""} == {
        "dataset": "",
        "images": 3,
        "truth": 3,
        "taken": 3,
        "skipped": 0,
        "notes": [],
    }
    dataset, images, _ = rows(installation, job)
    image, mask = sample.scene(0)
    np.testing.assert_array_equal(
        codec.decode_png(installation.files.read(stored.image_key(dataset.id, images[0].id))), image
    )
    values = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, images[0].id)))
    np.testing.assert_array_equal(np.asarray(dataset.lookup)[values] > 0, mask)


def test_a_retry_after_a_crash_doubles_nothing_and_loses_nothing(installation, tmp_path):
    job = folder_job(installation, tmp_path / "in", many(50) | {"images/copy.png": encoded(picture(seed=7))})
    with pytest.raises(KeyboardInterrupt):
        import_images.run(job, Context(installation, break_after=30))
    assert 0 < len(rows(installation, job)[1]) < 30
    truth_folder = installation.files.path(stored.dataset_folder(job.payload["dataset"])) / "truth"
    partial_file = truth_folder / f"{'a' * 32}.1234abcd.part.png"  # as SIGKILL in the middle of a write leaves it
    partial_file.write_bytes(b"half")
    job.attempt = 2
    result = import_images.run(job, Context(installation))
    assert (result["images"], result["truth"], result["skipped"]) == (50, 50, 1)
    dataset, images, report = rows(installation, job)
    assert len(images) == 50
    assert len(report) == 101
    assert sum(not taken for taken, _ in report.values()) == 1
    assert len(installation.files.keys(stored.dataset_folder(dataset.id))) == 150
    assert not partial_file.exists()


def test_a_stop_keeps_what_was_taken_whole(installation, tmp_path):
    job = folder_job(installation, tmp_path / "in", many(12))
    with pytest.raises(JobStopped) as stopped:
        import_images.run(job, Context(installation, stop_after=5))
    dataset, images, report = rows(installation, job)
    assert stopped.value.result["images"] == len(images) == dataset.image_count == 5
    assert dataset.classes
    assert len(report) == 10
    for image in images:
        assert installation.files.exists(stored.image_key(dataset.id, image.id))


def test_more_images_into_a_dataset_that_has_some(installation, tmp_path):
    first = folder_job(installation, tmp_path / "in", many(2))
    import_images.run(first, Context(installation))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "new.png").write_bytes(encoded(picture(seed=99)))
    (tmp_path / "more" / "old.png").write_bytes(encoded(picture(seed=0)))
    with installation.database.writing() as session:
        session.get_one(Job, first.id).status = "finished"
    with installation.database.writing() as session:
        source = {"kind": "folder", "path": str(tmp_path / "more")}
        job = submissions.submit_more_images(session, first.payload["dataset"], source)
    job.attempt = 1
    assert import_images.run(job, Context(installation))["images"] == 3
    _, images, report = rows(installation, job)
    assert report["old.png"] == (False, "It is the same picture as images/000.png, pixel for pixel.")
    assert [image.position for image in images] == [1, 2, 3]


def test_one_image_and_all_black_truth(installation, tmp_path):
    job = folder_job(installation, tmp_path / "in", {"a.png": encoded(picture()), "mask/a.png": encoded(disk(value=0))})
    assert import_images.run(job, Context(installation))["images"] == 1
    dataset, images, _ = rows(installation, job)
    assert images[0].has_truth
    assert [entry["name"] for entry in dataset.classes] == ["background"]


def test_images_alone_leave_the_classes_open(installation, tmp_path):
    job = folder_job(installation, tmp_path / "in", many(2, truth=False))
    assert import_images.run(job, Context(installation))["truth"] == 0
    assert rows(installation, job)[0].classes == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"truth/a.png": encoded(disk())}, "No image could be taken. truth/a.png: It is truth"),
        ({"a.jpg": bad_files.text_named_jpg()}, "No image could be taken. a.jpg: It is a text file"),
        ({".hidden.png": encoded(disk())}, "There are no images in it"),
    ],
)
def test_nothing_to_take_is_a_sentence_and_the_report_stays(installation, tmp_path, files, sentence):
    job = folder_job(installation, tmp_path / "in", files)
    with pytest.raises(JobFailed, match=sentence):
        import_images.run(job, Context(installation))
    _, images, report = rows(installation, job)
    assert images == []
    assert report.keys() == {name for name in files if not name.startswith(".")}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(bad_files.zipped({}), "empty"), (b"no zip", "no zip at all"), (bad_files.zip_bomb(), "zip bomb")],
)
def test_a_source_that_cannot_be_read_leaves_what_was_there(installation, tmp_path, data, sentence):
    first = folder_job(installation, tmp_path / "in", many(2))
    import_images.run(first, Context(installation))
    path = tmp_path / "bad.zip"
    path.write_bytes(data)
    job = submit(installation, {"kind": "zip", "path": str(path)}, name="other")
    job.payload = {**job.payload, "dataset": first.payload["dataset"]}
    with pytest.raises(JobFailed, match=sentence):
        import_images.run(job, Context(installation))
    assert rows(installation, first)[0].image_count == 2


def test_a_kind_of_source_that_does_not_exist(installation):
    with pytest.raises(JobFailed, match="'cloud'"):
        import_images.run(submit(installation, {"kind": "cloud"}), Context(installation))


@pytest.mark.shared
def test_real_images_with_three_classes(installation, tmp_path):
    files = sorted((SHARED_DATA / "eggs-and-pans").glob("*/*.*"))
    if not files:
        pytest.skip("no real images here")
    for file in files:
        if file.stem.endswith("3"):  # a tenth of them
            folder = tmp_path / "in" / file.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    job = submit(installation, {"kind": "folder", "path": str(tmp_path / "in")})
    result = import_images.run(job, Context(installation))
    dataset, images, report = rows(installation, job)
    assert result["truth"] > 10
    assert len(images) > result["truth"]
    assert [entry["value"] for entry in dataset.classes] == [0, 128, 255]
    assert all("pixel for pixel" in reason for taken, reason in report.values() if not taken)


def test_a_picture_that_is_imported_again_brings_back_its_files_that_are_gone(installation, tmp_path):
    files = many(3)
    job = folder_job(installation, tmp_path / "in", files)
    import_images.run(job, Context(installation))
    _, images, _ = rows(installation, job)
    keys = [key(job.payload["dataset"], images[1].id) for key in (stored.image_key, stored.thumb_key, stored.truth_key)]
    before = [installation.files.read(key) for key in keys]
    for key in keys:
        installation.files.delete(key)
    with installation.database.writing() as session:
        jobs.request_stop(session, job.id)  # it never was a worker's, so nothing else ends it
        again = submissions.submit_more_images(session, job.payload["dataset"], job.payload["source"])
    again.attempt = 1
    result = import_images.run(again, Context(installation))
    assert [installation.files.read(key) for key in keys] == before
    assert result["images"] == 3


def test_each_page_is_stored_with_its_pixel_size(installation, tmp_path):
    pages = np.stack([np.full((20, 30), value, np.uint8) + disk(20, 30, value=9) for value in (10, 60)])
    data = tiff(pages, imagej=True, resolution=(4, 4), metadata={"unit": "um"})
    job = folder_job(installation, tmp_path, {"a.tif": data, "b.png": encoded(picture())})
    job.payload = job.payload | {"source": job.payload["source"] | {"reading": {"channels": "1", "pages": "all"}}}
    context = Context(installation)
    import_images.run(job, context)
    _, images, _ = rows(installation, job)
    sizes = {image.name: (image.pixel_width_um, image.pixel_height_um, image.pixel_size_source) for image in images}
    page = (0.25, 0.25, "ImageJ")
    assert sizes == {"a, page 1.tif": page, "a, page 2.tif": page, "b.png": (None, None, None)}
    assert context.seen[-1][:2] == (3, 3)
