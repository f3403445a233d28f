"""The job that adds truth later: stopped, killed, repeated, and uploads that are deleted when they are taken."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from db import datasets, submissions
from db.models import Dataset, Image, Job, Prediction
from engine.datasets import truth_job
from engine.imaging import codec
from engine.store import keys as stored
from engine.work.context import BadSource, JobStopped
from tests.support.drawn_class_run import add_class_dataset, add_class_run, set_of, truth_map
from tests.support.installation import Installation, add_discs, disc, mask_png
from tests.support.training_job import Context

COUNT = 50


def write_ids(folder: Path, count: int = COUNT) -> dict[str, str]:
    """Write label maps whose ids need codes; return the source of a job."""
    folder.mkdir()
    for number in range(count):
        ids = disc(seed=number)[1].astype(np.uint16) * (2000 + number)
        cv2.imwrite(str(folder / f"disc {number}.png"), ids)
    return {"kind": "folder", "path": str(folder)}


def submit(installation: Installation, dataset: Dataset, source: dict[str, str], attempt: int = 1) -> Job:
    with installation.database.writing() as session:
        job = submissions.submit_truth(session, dataset.id, source)
    job.attempt = attempt
    return job


def stored_ids(installation: Installation, dataset: Dataset) -> dict[str, set[int]]:
    """Return {image: the ids of its truth} as the stored codes and the dataset's table say."""
    with installation.database.reading() as session:
        table = dict(datasets.truth_codes(session, dataset.id))
        images = [image for image in datasets.images(session, dataset.id) if image.has_truth]
    found = {}
    for image in images:
        codes = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image.id)))
        found[image.name] = {int(table.get(code, code)) for code in np.unique(codes).tolist()}
    return found


def wanted(count: int = COUNT) -> dict[str, set[int]]:
    return {f"disc {number}.png": {0, 2000 + number} for number in range(count)}


def test_what_a_stopped_job_took_is_whole_and_the_next_attempt_takes_the_rest(installation, tmp_path):
    dataset = add_discs(installation, count=COUNT, truth=False)
    job = submit(installation, dataset, write_ids(tmp_path / "ids"))
    with pytest.raises(JobStopped) as stopped:
        truth_job.run(job, Context(installation, stop_after=30))
    taken = stored_ids(installation, dataset)
    assert len(taken) == stopped.value.result["truth"] == 30
    assert all(ids == wanted()[name] for name, ids in taken.items())
    job.attempt = 2
    assert truth_job.run(job, Context(installation))["truth"] == COUNT
    assert stored_ids(installation, dataset) == wanted()


def test_after_a_crash_the_same_files_get_the_same_codes(installation, tmp_path):
    class Killed(Context):
        def progress(self, done: int, total: int, **details: object) -> None:
            if done == 45:
                raise KeyboardInterrupt

    dataset = add_discs(installation, count=COUNT, truth=False)
    job = submit(installation, dataset, write_ids(tmp_path / "ids"))
    with pytest.raises(KeyboardInterrupt):
        truth_job.run(job, Killed(installation))
    assert all(ids == wanted()[name] for name, ids in stored_ids(installation, dataset).items())
    job.attempt = 2
    result = truth_job.run(job, Context(installation))
    assert (result["truth"], result["taken"]) == (COUNT, COUNT)
    assert stored_ids(installation, dataset) == wanted()
    with installation.database.reading() as session:
        lookup = session.get_one(Dataset, dataset.id).lookup
    assert (lookup[0], {lookup[code] for code in (253, 252)}) == (0, {1})  # many ids, each in one image: objects


def test_an_upload_is_deleted_when_its_masks_are_taken_or_none_can_be(installation):
    dataset = add_discs(installation, count=2, truth=False)
    token = "b" * 32
    folder = installation.files.path(stored.upload_folder(token))
    folder.mkdir(parents=True)
    (folder / "disc 0.png").write_bytes(b"no picture")
    source = {"kind": "upload", "token": token}
    with pytest.raises(BadSource, match=r"No mask could be taken\. disc 0"):
        truth_job.run(submit(installation, dataset, source), Context(installation))
    assert not installation.files.exists(stored.upload_folder(token))
    folder.mkdir(parents=True)
    (folder / "disc 1.png").write_bytes(mask_png(disc(seed=1)[1]))
    assert truth_job.run(submit_again(installation, dataset, source), Context(installation))["truth"] == 1
    assert not installation.files.exists(stored.upload_folder(token))


def submit_again(installation: Installation, dataset: Dataset, source: dict[str, str]) -> Job:
    with installation.database.writing() as session:
        for job in session.query(Job):
            job.status = "failed"
    return submit(installation, dataset, source)


def test_masks_of_another_size_are_resized_or_refused(installation, tmp_path):
    dataset = add_discs(installation, count=2, truth=False)
    for name, shape in {"disc 0": (128, 128), "disc 1": (64, 128)}.items():
        (tmp_path / f"{name}.png").write_bytes(mask_png(np.ones(shape, bool)))
    source = {"kind": "zip", "path": str(zipped(tmp_path))}
    result = truth_job.run(submit(installation, dataset, source), Context(installation))
    assert (result["truth"], result["taken"], result["skipped"]) == (1, 1, 1)
    with installation.database.reading() as session:
        report = {entry.name: entry.reason for entry in datasets.report(session, dataset.id) if entry.reason}
        image = session.query(Image).filter_by(name="disc 0.png").one()
    assert "resized to fit" in report["disc 0.png"] and "no truth of it" in report["disc 1.png"]
    kept = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image.id)))
    assert kept.shape == (64, 64)
    assert any("every pixel is foreground" in note or "covers" in note for note in result["notes"])


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "masks.zip", "w") as archive:
        for file in sorted(folder.glob("*.png")):
            archive.write(file, file.name)
    return folder / "masks.zip"


def test_new_truth_scores_foreground_where_a_class_map_is_gone(installation, tmp_path):
    dataset = add_class_dataset(installation, 3)
    set_id = set_of(installation, add_class_run(installation, dataset))
    folder = tmp_path / "truth"
    folder.mkdir()
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    for number, image in enumerate(images):
        (folder / f"{Path(image.name).stem}.png").write_bytes(codec.encode_png(truth_map(number) * 100))
    gone = images[0].id
    installation.files.delete(stored.prediction_classes_key(set_id, gone))
    truth_job.run(submit(installation, dataset, {"kind": "folder", "path": str(folder)}), Context(installation))
    with installation.database.reading() as session:
        rows = session.query(Prediction).filter_by(prediction_set_id=set_id).all()
    assert {row.image_id for row in rows if row.truth_confusion is None} == {gone}
    assert all(row.truth_dice == 1 and row.truth_counts for row in rows)
