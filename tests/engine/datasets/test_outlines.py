"""Annotation files beside images, imported as a job does it: truth as it was drawn, classes by name, and the report."""

from __future__ import annotations

import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from db import submissions
from db.columns import new_id
from db.models import Job
from engine.datasets import ingest
from engine.datasets import job as import_images
from engine.exports.annotated import Annotated, MaskedImage
from engine.exports.formats import coco as coco_export
from engine.exports.formats import yolo as yolo_export
from engine.imaging import codec
from engine.imaging.class_maps import IGNORE
from engine.store import keys as stored
from tests.assets import annotation_files
from tests.assets.annotation_files import SHAPE, class_map, coco, document, labelme
from tests.assets.bad_files import disk, encoded, picture, zipped
from tests.engine.datasets.test_job import Context, folder_job, rows, submit
from tests.support.drawn_masks import ADVERSARIAL
from tests.support.installation import Installation

HEIGHT, WIDTH = SHAPE
PICTURES = {f"images/{name}.png": encoded(picture(HEIGHT, WIDTH, seed)) for seed, name in enumerate("abc")}


def documents(name: str) -> dict[str, bytes]:
    return {each.name: each.data for each in annotation_files.files()[name]}


def truths(installation: Installation, job: Job) -> dict[str, np.ndarray | None]:
    """Return the class map of each image as it is stored, None without truth."""
    dataset, images, _ = rows(installation, job)
    lookup = np.array(dataset.lookup or range(256), np.uint8)
    keys = {image.name: stored.truth_key(dataset.id, image.id) for image in images if image.has_truth}
    found = {name: lookup[codec.decode_png(installation.files.read(key))] for name, key in keys.items()}
    return {image.name: found.get(image.name) for image in images}


def classes(installation: Installation, job: Job) -> list[str]:
    return [entry["name"] for entry in rows(installation, job)[0].classes]


def add(installation: Installation, job: Job, folder: Path, files: dict[str, bytes]) -> Job:
    """Import more files into the dataset of a job that is done."""
    write(folder, files)
    source = {"kind": "folder", "path": str(folder)}
    with installation.database.writing() as session:
        session.get_one(Job, job.id).status = "finished"
    with installation.database.writing() as session:
        more = submissions.submit_more_images(session, job.payload["dataset"], source)
    more.attempt = 1
    import_images.run(more, Context(installation))
    return more


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("name", annotation_files.files())
def test_every_format_is_truth_with_the_names_of_its_classes(installation, tmp_path, name):
    job = folder_job(installation, tmp_path / "in", PICTURES | documents(name))
    result = import_images.run(job, Context(installation))
    found = truths(installation, job)
    np.testing.assert_array_equal(found["images/a.png"], class_map())
    assert classes(installation, job) == ["background", "egg", "pan"]
    if name == "voc":  # has no file for an image without objects
        assert found["images/b.png"] is None
    else:
        assert not found["images/b.png"].any()
    assert found["images/c.png"] is None
    report = rows(installation, job)[2]
    assert report.keys() == PICTURES.keys() | documents(name).keys()
    assert all(taken for taken, _ in report.values()) and result["taken"] == len(report)
    assert "from outlines in" in result["notes"][0] and result["notes"][0].endswith(", classes: egg, pan.")


@pytest.mark.parametrize("kind", ["zip", "upload"])
def test_zips_and_uploads_are_read_like_folders(installation, tmp_path, kind):
    files = PICTURES | documents("coco")
    if kind == "zip":
        (tmp_path / "x.zip").write_bytes(zipped({f"set/{name}": data for name, data in files.items()}))
        source = {"kind": "zip", "path": str(tmp_path / "x.zip")}
    else:  # images in a zip, and the annotations beside it
        source = {"kind": "upload", "token": new_id()}
        folder = stored.upload_folder(source["token"])
        installation.files.write(f"{folder}/images.zip", zipped(PICTURES))
        installation.files.write(f"{folder}/instances.json", files["annotations/instances.json"])
    job = submit(installation, source)
    import_images.run(job, Context(installation))
    (found,) = [truth for name, truth in truths(installation, job).items() if name.endswith("images/a.png")]
    np.testing.assert_array_equal(found, class_map())


def test_the_plan_says_what_was_understood(tmp_path):
    write(tmp_path, PICTURES | documents("coco") | {"readme.txt": b"hello"})
    with closing(ingest.open_zip_or_folder(tmp_path)) as source:
        found = ingest.plan(source)
    sentences = found.sentences()
    assert sentences[0] == "3 images, 2 with truth."
    words = "2 images have their truth from outlines in annotations/instances.json (COCO JSON), classes: egg, pan."
    assert sentences[1:] == [words, "1 file is skipped."]
    described = found.as_json()
    assert described["annotations"]["files"][0]["name"] == "annotations/instances.json"
    assert [pair["truth"] for pair in described["pairs"]] == [["outlines"], ["outlines"], []]
    assert described["left_out"][0]["reason"].startswith("It is not an annotation file of a format that is read")


def test_masks_win_over_outlines(tmp_path):
    masks = {"masks/a.png": encoded(disk(HEIGHT, WIDTH))}
    write(tmp_path, PICTURES | documents("coco") | masks)
    with closing(ingest.open_zip_or_folder(tmp_path)) as source:
        found = ingest.plan(source)
    assert {item.image.name: item.truth_names for item in found.items} == {
        "images/a.png": ["masks/a.png"],
        "images/b.png": ["outlines"],
        "images/c.png": [],
    }
    assert "1 image has a mask and outlines; the mask is taken." in found.notes


def test_boxes_beside_masks_say_where_the_truth_is_from(tmp_path):
    voc = {f"JPEGImages/{name}.png": data for name, data in zip("ab", PICTURES.values(), strict=False)}
    voc |= {"SegmentationClass/a.png": encoded(disk(HEIGHT, WIDTH))}
    voc |= {f"Annotations/{name}.xml": annotation_files.BOXES.replace("a.png", f"{name}.png").encode() for name in "ab"}
    write(tmp_path, voc)
    with closing(ingest.open_zip_or_folder(tmp_path)) as source:
        found = ingest.plan(source)
    reasons = {entry.name: entry.reason for entry in found.entries}
    assert reasons["Annotations/a.xml"].endswith("its image has its truth from SegmentationClass/a.png.")
    assert reasons["Annotations/b.xml"].startswith("It contains boxes only; Maskloom needs")


def test_masks_of_levels_beside_outlines_are_foreground(installation, tmp_path):
    masks = {"masks/c.png": encoded(disk(HEIGHT, WIDTH))}
    job = folder_job(installation, tmp_path / "in", PICTURES | documents("coco") | masks)
    import_images.run(job, Context(installation))
    found = truths(installation, job)
    np.testing.assert_array_equal(found["images/a.png"], class_map())
    np.testing.assert_array_equal(found["images/c.png"], np.where(disk(HEIGHT, WIDTH), 3, 0))
    assert classes(installation, job) == ["background", "egg", "pan", "foreground"]


def test_outlines_of_one_class_and_masks_are_the_same_class(installation, tmp_path):
    one = labelme()
    one["shapes"] = one["shapes"][:1]
    masks = {"masks/c.png": encoded(disk(HEIGHT, WIDTH))}
    job = folder_job(installation, tmp_path / "in", PICTURES | {"images/a.json": document("a", one).data} | masks)
    import_images.run(job, Context(installation))
    np.testing.assert_array_equal(truths(installation, job)["images/c.png"], disk(HEIGHT, WIDTH) > 0)
    assert classes(installation, job) == ["background", "egg"]


def test_ignored_regions(installation, tmp_path):
    content = coco()
    content["annotations"].append(content["annotations"][1] | {"id": 3, "iscrowd": 1, "category_id": 1})
    content["annotations"].pop(1)
    content["annotations"].append(content["annotations"][0] | {"id": 4, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]})
    job = folder_job(installation, tmp_path / "in", PICTURES | {"instances.json": document("x", content).data})
    import_images.run(job, Context(installation))
    expected = class_map(1, IGNORE)
    expected[:2, :2] = 1
    np.testing.assert_array_equal(truths(installation, job)["images/a.png"], expected)


def test_annotations_of_another_size_are_resized(installation, tmp_path):
    files = {"images/a.png": encoded(picture(2 * HEIGHT, 2 * WIDTH))} | documents("coco")
    job = folder_job(installation, tmp_path / "in", files)
    import_images.run(job, Context(installation))
    np.testing.assert_array_equal(truths(installation, job)["images/a.png"], class_map().repeat(2, 0).repeat(2, 1))
    note = rows(installation, job)[2]["images/a.png"][1]
    assert note == "Its annotations are for an image of 20 × 12 pixels, and it has 40 × 24; they were resized to fit."


def test_a_later_import_keeps_classes_by_name(installation, tmp_path):
    job = folder_job(
        installation,
        tmp_path / "1",
        {"images/c.png": PICTURES["images/c.png"]} | {"masks/c.png": encoded(disk(HEIGHT, WIDTH))},
    )
    import_images.run(job, Context(installation))
    more = {name: data for name, data in PICTURES.items() if "c.png" not in name}
    job = add(installation, job, tmp_path / "2", more | documents("coco"))
    assert classes(installation, job) == ["background", "foreground", "egg", "pan"]
    found = truths(installation, job)
    np.testing.assert_array_equal(found["images/c.png"], disk(HEIGHT, WIDTH) > 0)
    np.testing.assert_array_equal(found["images/a.png"], class_map(2, 3))

    reversed_classes = coco(categories=[{"id": 2, "name": "pan"}, {"id": 1, "name": "egg"}, {"id": 3, "name": "cup"}])
    others = {"images/d.png": encoded(picture(HEIGHT, WIDTH, 8))}
    reversed_classes["images"][0]["file_name"] = "d.png"
    job = add(installation, job, tmp_path / "3", others | {"x.json": document("x", reversed_classes).data})
    assert classes(installation, job) == ["background", "foreground", "egg", "pan", "cup"]
    np.testing.assert_array_equal(truths(installation, job)["images/d.png"], class_map(2, 3))

    levels = {"images/e.png": encoded(picture(HEIGHT, WIDTH, 7)), "truth/e.png": encoded(disk(HEIGHT, WIDTH))}
    add(installation, job, tmp_path / "4", levels)
    assert classes(installation, job) == ["background", "foreground", "egg", "pan", "cup"]
    np.testing.assert_array_equal(truths(installation, job)["images/e.png"], disk(HEIGHT, WIDTH) > 0)


@pytest.mark.parametrize("format_", ["coco", "yolo"])
def test_exported_masks_come_back(installation, tmp_path, format_):
    masks = {name: np.kron(mask, np.ones((2, 2), bool)) for name, mask in ADVERSARIAL.items()}
    masks = {name: mask for name, mask in masks.items() if min(mask.shape) >= 8}
    images = [
        MaskedImage(at, f"images/{name}.png", mask.shape[1], mask.shape[0], "", name)
        for at, (name, mask) in enumerate(masks.items(), start=1)
    ]
    source = Annotated(images, ["egg"], masks.__getitem__, "Masks for a test.")
    pictures = {image.name: encoded(picture(image.height, image.width, seed=image.number)) for image in images}
    folder = write(tmp_path / "in", pictures)
    if format_ == "coco":
        coco_export.write(source, folder / "masks.json", lambda done: None, "rle")
    else:
        yolo_export.write(source, tmp_path / "masks.zip", lambda done: None)
        with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
            archive.extractall(folder)
    job = submit(installation, {"kind": "folder", "path": str(folder)})
    import_images.run(job, Context(installation))
    found = truths(installation, job)
    for image in images:
        wrong = (found[image.name] != masks[image.key]).mean()
        assert wrong == 0 if format_ == "coco" else wrong < 0.01, image.name
    assert classes(installation, job) == ["background", "egg"]
