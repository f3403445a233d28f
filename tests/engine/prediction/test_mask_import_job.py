"""The job that fills a mask set with masks from elsewhere: stopped and repeated, and masks of several codings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from db import recipes, submissions
from db.models import Dataset, Job, JobStatus, LabelSet
from engine.imaging import codec
from engine.prediction import mask_import_job
from engine.store import keys as stored
from engine.work.context import JobFailed, JobStopped
from tests.support.installation import Installation, add_discs, disc
from tests.support.training_job import Context


def submit(installation: Installation, dataset: Dataset, folder: Path, name: str = "masks") -> Job:
    source = {"kind": "folder", "path": str(folder)}
    with installation.database.writing() as session:
        _, job = submissions.submit_masks(session, dataset.id, name, source, "a tool", "test")
    job.attempt = 1
    return job


def write(folder: Path, masks: dict[str, np.ndarray]) -> None:
    for name, pixels in masks.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(codec.encode_png(pixels))


def levels(installation: Installation, job: Job) -> list[np.ndarray]:
    """Return the stored masks in the order of the images' names."""
    label_set_id = job.payload["label_set"]
    with installation.database.reading() as session:
        labelled = recipes.labelled_images(session, label_set_id)
        named = sorted(mask_import_job.datasets.named_images(session, job.payload["dataset"]))
    keys = [stored.label_key(label_set_id, id_) for _, id_ in named if id_ in labelled]
    return [codec.decode_png(installation.files.read(key)) for key in keys]


def test_a_stopped_import_keeps_its_masks_and_continues(installation, tmp_path):
    dataset = add_discs(installation, count=6)
    write(tmp_path / "m", {f"disc {n}.png": disc(seed=n)[1].astype(np.uint8) * 255 for n in range(6)})
    job = submit(installation, dataset, tmp_path / "m")
    with pytest.raises(JobStopped) as stopped:
        mask_import_job.run(job, Context(installation, stop_after=9))
    assert stopped.value.result["images"] == len(levels(installation, job)) == 3
    job.attempt = 2
    result = mask_import_job.run(job, Context(installation))
    assert (result["images"], result["taken"], result["skipped"]) == (6, 6, 0)
    with installation.database.reading() as session:
        rows = recipes.labels(session, job.payload["label_set"])
        label_set = session.get_one(LabelSet, job.payload["label_set"])
    assert {row.dice for row in rows} == {1.0}
    assert all(0 < row.quality <= 1 and row.area > 0 for row in rows)
    assert label_set.params == {"source": "a tool", "read_as": "0/255"}


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        ((1, 255), "0 = background, 255 = foreground"),
        ((1, 1), "0 = background, 1 = foreground"),
        ((200, 255), "a probability: 128 and above is foreground"),
    ],
)
def test_masks_of_several_codings_mark_the_same_pixels(installation, tmp_path, values, read_as):
    dataset = add_discs(installation, count=2)
    write(tmp_path / "m", {f"disc {n}.png": disc(seed=n)[1] * np.uint8(value) for n, value in enumerate(values)})
    job = submit(installation, dataset, tmp_path / "m")
    assert mask_import_job.run(job, Context(installation))["notes"][1] == f"The masks are read as {read_as}."
    for number, mask in enumerate(levels(installation, job)):
        assert np.array_equal(mask >= 128, disc(seed=number)[1])


def halves(seed: int, values: tuple[int, int, int]) -> np.ndarray:
    """Return a disc whose left and right halves have different values, uint8 (H, W)."""
    mask = disc(seed=seed)[1].astype(np.uint8)
    mask[:, np.argwhere(mask)[:, 1].max() - 18 :] *= 2
    return np.array(values, np.uint8)[mask]


def stored_classes(installation: Installation, job: Job) -> tuple[list[str], list[np.ndarray]]:
    with installation.database.reading() as session:
        label_set = session.get_one(LabelSet, job.payload["label_set"])
        named = sorted(mask_import_job.datasets.named_images(session, job.payload["dataset"]))
    keys = [stored.label_classes_key(label_set.id, id_) for _, id_ in named]
    names = [entry["name"] for entry in label_set.classes]
    return names, [codec.decode_png(installation.files.read(key)) for key in keys] if names else []


@pytest.mark.parametrize(
    ("values", "read_as"),
    [((0, 1, 2), "class numbers: 0 = background, 1 = egg"), ((0, 127, 255), "values of truth: 0 = background, 127")],
)
def test_masks_keep_the_classes_of_the_truth(installation, tmp_path, values, read_as):
    dataset = add_discs(installation, count=2)
    names = enumerate(["background", "egg", "pan"])
    classes = [{"index": index, "name": name, "value": (0, 127, 255)[index]} for index, name in names]
    with installation.database.writing() as session:
        lookup = [0] * 64 + [1] * 128 + [2] * 64
        mask_import_job.datasets.set_classes(session, dataset.id, classes, lookup)
    write(tmp_path / "m", {f"disc {n}.png": halves(n, values) for n in range(2)})
    job = submit(installation, dataset, tmp_path / "m")
    assert read_as in mask_import_job.run(job, Context(installation))["notes"][1]
    found, maps = stored_classes(installation, job)
    assert found == ["background", "egg", "pan"]
    for number, (levels_, map_) in enumerate(zip(levels(installation, job), maps, strict=True)):
        assert np.array_equal(map_, halves(number, (0, 1, 2)))
        assert np.array_equal(levels_, (map_ > 0) * np.uint8(255))


def test_masks_keep_their_own_classes_where_truth_has_one_or_none(installation, tmp_path):
    dataset = add_discs(installation, count=2)
    write(tmp_path / "m", {f"disc {n}.png": halves(n, (0, 3, 5)) for n in range(2)})
    job = submit(installation, dataset, tmp_path / "m")
    mask_import_job.run(job, Context(installation))
    names, maps = stored_classes(installation, job)
    assert names == ["background", "class 1", "class 2"]
    assert np.array_equal(maps[1], halves(1, (0, 1, 2)))
    with installation.database.writing() as session:
        session.get_one(Job, job.id).status = JobStatus.FINISHED
    write(tmp_path / "one", {f"disc {n}.png": halves(n, (0, 255, 255)) for n in range(2)})
    job = submit(installation, dataset, tmp_path / "one", "one")
    mask_import_job.run(job, Context(installation))
    assert stored_classes(installation, job) == ([], [])


def test_the_masks_of_one_image_are_joined(installation, tmp_path):
    dataset = add_discs(installation, count=1)
    parts = np.zeros((2, 64, 64), np.uint8)
    parts[0, 5:20, 5:20] = 255
    parts[1, 30:50, 30:50] = 255
    write(tmp_path / "m", {"disc 0/1.png": parts[0], "disc 0/2.png": parts[1]})
    job = submit(installation, dataset, tmp_path / "m")
    mask_import_job.run(job, Context(installation))
    assert np.array_equal(levels(installation, job)[0], parts.max(axis=0))


def test_nothing_that_fits_fails_with_the_first_reason(installation, tmp_path):
    dataset = add_discs(installation, count=1)
    write(tmp_path / "m", {"another.png": np.eye(64, dtype=np.uint8) * 255})
    job = submit(installation, dataset, tmp_path / "m")
    with pytest.raises(JobFailed, match="png: It is a mask, and there is no image of the same name"):
        mask_import_job.run(job, Context(installation))
