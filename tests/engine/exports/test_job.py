"""The export job on a real database: files, what it refuses, what it replaces, and examples that run as processes."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from pycocotools.coco import COCO

from db import datasets, exports, recipes, rounds, runs, submissions
from db.datasets import InUse
from db.models import Dataset, Image, LabelSet, Prediction, Run
from db.submissions import NotReady
from engine.exports import job as export
from engine.exports.base import UnknownFormat, find_format, formats
from engine.imaging import codec
from engine.store import keys as stored
from engine.work.context import JobFailed, JobStopped
from tests.support.class_runs import NAMES, add_class_run, add_classes
from tests.support.installation import add_discs, mask_png
from tests.support.leaving_out import leave_out
from tests.support.predicted import add_label_set, add_run
from tests.support.training_job import Context


@pytest.fixture
def dataset(installation):
    return add_discs(installation, 6)


def set_of(installation, run):
    with installation.database.reading() as session:
        return runs.own_prediction_set(session, run).id


def submit(installation, owner, owner_id, what, threshold=None):
    with installation.database.writing() as session:
        job = submissions.submit_export(session, owner, owner_id, what, threshold)
        job.attempt = 1
    return job


@pytest.mark.parametrize(("what", "kind"), [("coco", list), ("coco-rle", dict), ("coco-image", dict)])
def test_coco_of_predictions_is_read_back(installation, dataset, tmp_path, what, kind):
    set_id = set_of(installation, add_run(installation, dataset, "a run"))
    context = Context(installation)
    result = export.run(submit(installation, "prediction_set", set_id, what, 0.5), context)
    found = COCO(str(installation.files.path(result["key"])))
    assert (result["images"], result["annotations"], result["suffix"]) == (6, len(found.anns), "json")
    assert result["bytes"] == installation.files.size(result["key"]) > 0
    assert (context.said[-1].done, context.said[-1].total) == (6, 6) and "images/s" in context.texts[-1]
    with installation.database.reading() as session:
        positions = {image.position: image for image in datasets.images(session, dataset.id)}
    for number, image in found.imgs.items():
        levels = codec.decode_png(installation.files.read(stored.prediction_key(set_id, positions[number].id)))
        masks = [found.annToMask(one) for one in found.loadAnns(found.getAnnIds([number]))]
        together = np.any(masks, axis=0)
        assert image["file_name"] == positions[number].name
        assert isinstance(found.loadAnns(found.getAnnIds([number]))[0]["segmentation"], kind)
        assert (together == (levels >= 128)).mean() > (0.99 if kind is list else 0.9999)


def test_classes_of_predictions_are_categories_and_class_ids(installation):
    dataset = add_classes(installation)
    _, set_id = add_class_run(installation, dataset)
    result = export.run(submit(installation, "prediction_set", set_id, "coco-rle", 0.5), Context(installation))
    found = COCO(str(installation.files.path(result["key"])))
    assert [(each["id"], each["name"]) for each in found.loadCats(found.getCatIds())] == [*enumerate(NAMES)][1:]
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    for image in images:
        truth = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, image.id)))
        drawn = np.zeros_like(truth)
        for one in found.loadAnns(found.getAnnIds([image.position])):
            drawn[found.annToMask(one) > 0] = one["category_id"]
        np.testing.assert_array_equal(drawn, np.uint8([0, 1, 2, 2])[truth])
    result = export.run(submit(installation, "prediction_set", set_id, "yolo", 0.5), Context(installation))
    archive = zipfile.ZipFile(installation.files.path(result["key"]))
    assert archive.read("data.yaml").decode().endswith('names:\n  0: "egg"\n  1: "=pan"\n  2: "cup"\n')
    lines = archive.read("labels/image 0.txt").decode().splitlines()
    assert {line.split()[0] for line in lines} == {"0", "1"}


def test_a_threshold_changes_the_file_and_its_image_numbers_stay(installation, dataset):
    set_id = set_of(installation, add_run(installation, dataset, "a run"))
    files = [
        export.run(submit(installation, "prediction_set", set_id, "coco-rle", at), Context(installation))
        for at in (0.3, 0.6)
    ]
    assert not installation.files.exists(files[0]["key"])  # the newer one takes its place
    low = export.run(submit(installation, "prediction_set", set_id, "coco-rle", 0.3), Context(installation))
    found = json.loads(installation.files.read(low["key"]))
    assert [image["id"] for image in found["images"]] == [1, 2, 3, 4, 5, 6]
    assert sum(one["area"] for one in found["annotations"]) > 0
    assert "threshold 0.3" in found["info"]["description"]


def test_masks_whose_files_are_gone_are_no_empty_images(installation, dataset):
    set_id = set_of(installation, add_run(installation, dataset, "a run"))
    keys = [key for key in installation.files.keys(stored.prediction_folder(set_id)) if key.endswith(".png")]
    installation.files.delete(keys[0])
    result = export.run(submit(installation, "prediction_set", set_id, "coco", 0.5), Context(installation))
    assert len(json.loads(installation.files.read(result["key"]))["images"]) == result["images"] == 5
    for key in keys[1:]:
        installation.files.delete(key)
    with pytest.raises(JobFailed, match="Compute them again"):
        export.run(submit(installation, "prediction_set", set_id, "yolo", 0.5), Context(installation))


def test_a_label_set_is_annotated_too(installation, dataset):
    label_set_id = add_label_set(installation, dataset)
    result = export.run(submit(installation, "label_set", label_set_id, "yolo", 0.5), Context(installation))
    assert result["key"].startswith(stored.label_folder(label_set_id))
    archive = zipfile.ZipFile(installation.files.path(result["key"]))
    assert sum(name.startswith("labels/") for name in archive.namelist()) == 6


def test_a_label_set_keeps_its_classes(installation):
    dataset = add_classes(installation, 2)
    label_set_id = add_label_set(installation, dataset)
    with installation.database.writing() as session:
        session.get_one(LabelSet, label_set_id).classes = dataset.classes
        images = datasets.images(session, dataset.id)
    for image in images:
        truth = installation.files.read(stored.truth_key(dataset.id, image.id))
        installation.files.write(stored.label_classes_key(label_set_id, image.id), truth)
        installation.files.write(stored.label_key(label_set_id, image.id), mask_png(codec.decode_png(truth) > 0))
    result = export.run(submit(installation, "label_set", label_set_id, "coco-rle", 0.5), Context(installation))
    found = COCO(str(installation.files.path(result["key"])))
    assert [each["name"] for each in found.loadCats(found.getCatIds())] == list(NAMES[1:])
    truth = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, images[0].id)))
    third = [found.annToMask(each) for each in found.loadAnns(found.getAnnIds([images[0].position], catIds=[3]))]
    np.testing.assert_array_equal(np.any(third, axis=0), truth == 3)


def test_stopping_leaves_no_file(installation, dataset):
    set_id = set_of(installation, add_run(installation, dataset, "a run"))
    with pytest.raises(JobStopped):
        export.run(submit(installation, "prediction_set", set_id, "coco", 0.5), Context(installation, stop_after=3))
    assert not [key for key in installation.files.keys(stored.prediction_folder(set_id)) if "exports" in key]
    assert not list(installation.files.path(stored.prediction_folder(set_id)).rglob("*.part*"))


def test_a_file_that_another_job_made_meanwhile_stays_and_what_a_killed_attempt_left_goes(
    installation, dataset, monkeypatch
):
    run = add_run(installation, dataset, "net")
    first, second = (submit(installation, "prediction_set", set_of(installation, run), "coco", at) for at in (0.4, 0.6))
    left = installation.files.path(
        stored.export_key(stored.prediction_folder(set_of(installation, run)), "coco", second.id, "x")
    )
    left = left.with_name(f"{second.id}.1234abcd.part.json")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    other: list[dict] = []

    def meanwhile(*arguments, **options):
        monkeypatch.undo()
        other.append(export.run(second, Context(installation)))
        return masked_images(*arguments, **options)

    masked_images = export.masked_images
    monkeypatch.setattr(export, "masked_images", meanwhile)
    mine = export.run(first, Context(installation))
    assert installation.files.exists(other[0]["key"]) and installation.files.exists(mine["key"])
    assert not left.exists()
    assert export.run(first, Context(installation))["key"] == mine["key"]
    assert not installation.files.exists(other[0]["key"])


def test_a_report_tells_best_and_worst_against_truth(installation, dataset):
    run = add_run(installation, dataset, "<script>alert(1)</script>", label_set_id=add_label_set(installation, dataset))
    result = export.run(submit(installation, "run", run.id, "report"), Context(installation))
    page = installation.files.read(result["key"]).decode()
    assert result["bytes"] < 6_000_000 and "<script" not in page
    assert "Worst validation masks" in page and "Best validation masks" in page
    assert page.count("<img") == 4  # two validation images, the image and its mask each
    assert "mean of the masks of 2 validation images with truth" in page


def test_reports_and_annotations_say_what_masks_owe_to_labels_and_to_weights(installation, dataset):
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "a run", label_set_id=label_set_id)
    weights = "MobileNetV2 with ImageNet weights"
    with installation.database.writing() as session:
        runs.update_run(session, run.id, details={rounds.LABEL_SHARE: 1.0, "label_weights": weights})
        session.get_one(LabelSet, label_set_id).state = {"backbone": "0" * 64}
    page = installation.files.read(
        export.run(submit(installation, "run", run.id, "report"), Context(installation))["key"]
    ).decode()
    owed = "they are the labels that it was trained on; ImageNet weights in the labels"
    assert f"threshold 0.5; {owed}" in page and f"Its labels were computed with {weights}" in page

    def note(owner, owner_id):
        result = export.run(submit(installation, owner, owner_id, "coco", 0.5), Context(installation))
        return json.loads(installation.files.read(result["key"]))["info"]["description"]

    assert note("prediction_set", set_of(installation, run)) == (
        f"Masks of the run 'a run' at threshold 0.5, with Maskloom; {owed}."
    )
    assert note("label_set", label_set_id).endswith(f"with Maskloom; helped by {weights}.")


def test_a_report_counts_the_objects_of_the_runs_own_masks(installation, dataset):
    run = add_run(installation, dataset, "a run")
    set_id = set_of(installation, run)
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    for number, image in enumerate(images):
        levels = np.zeros((64, 64), np.uint8)
        levels[2 : 2 + 8 * number : 8, 4:54] = 200  # lines of 50 pixels
        levels[60:63, 60:63] = 255  # smaller than what counts as an object
        installation.files.write(stored.prediction_key(set_id, image.id), codec.encode_png(levels))
    context = Context(installation)
    page = installation.files.read(export.run(submit(installation, "run", run.id, "report"), context)["key"]).decode()
    assert "15 objects in 6 images: 0 to 5 in an image, median 2.5." in page
    assert any(said.phase == "counting_objects" and said.done == 6 for said in context.said)
    leave_out(installation, dataset.id, np.arange(64 * 64).reshape(64, 64) < 64 * 8)
    installation.files.delete(stored.prediction_key(set_id, images[5].id))
    page = installation.files.read(export.run(submit(installation, "run", run.id, "report"), context)["key"]).decode()
    assert "6 objects in 5 images: 0 to 3 in an image" in page


def test_a_report_of_several_classes_ranks_and_compares_them(installation):
    classes = add_classes(installation)
    run, _ = add_class_run(installation, classes)
    result = export.run(submit(installation, "run", run.id, "report"), Context(installation))
    page = installation.files.read(result["key"]).decode()
    assert page.count("<img") == 9 and "wrong class" in page
    assert "</b> Dice of classes vs truth" in page
    with installation.database.writing() as session:
        names = [{"index": index, "name": name} for index, name in enumerate(("background", "a", "b", "c"))]
        datasets.extend_classes(session, classes.id, names, [min(value, 3) for value in range(256)])
        session.get_one(Run, run.id).label_set_id = None
        session.query(Image).update({"truth_values": []})  # truth has no value of the run's classes any more
        session.query(Prediction).update({"truth_confusion": None})
    result = export.run(submit(installation, "run", run.id, "report"), Context(installation))
    page = installation.files.read(result["key"]).decode()
    assert "</b> Dice vs truth, all classes as foreground" in page and "wrong class" not in page


def test_a_model_that_is_gone_or_was_never_there_is_told(installation, dataset):
    run = add_run(installation, dataset, "a run")
    with pytest.raises(JobFailed, match="no model file"):
        export.run(submit(installation, "run", run.id, "onnx"), Context(installation))
    with installation.database.writing() as session:
        runs.update_run(session, run.id, best_epoch=None)
    with pytest.raises(NotReady, match="no model yet"):
        submit(installation, "run", run.id, "keras")
    with pytest.raises(UnknownFormat, match=r"'csv'\. Known: coco"):
        find_format("csv")


def test_asking_twice_makes_one_job_and_what_is_exported_is_not_deleted_meanwhile(installation, dataset):
    label_set_id = add_label_set(installation, dataset)
    run = add_run(installation, dataset, "a run", label_set_id=None)
    set_id = set_of(installation, run)
    first = submit(installation, "prediction_set", set_id, "coco", 0.5)
    assert submit(installation, "prediction_set", set_id, "coco", 0.5).id == first.id
    assert submit(installation, "prediction_set", set_id, "coco", 0.6).id != first.id
    submit(installation, "label_set", label_set_id, "yolo", 0.5)
    with installation.database.writing() as session:
        for delete in (
            lambda: runs.delete_run(session, run.id),
            lambda: runs.delete_prediction_set(session, set_id),
            lambda: recipes.delete_label_set(session, label_set_id),
        ):
            with pytest.raises(InUse):
                delete()


def test_the_stamp_follows_what_the_file_is_made_of(installation, dataset):
    run = add_run(installation, dataset, "a run")
    set_id, label_set_id = set_of(installation, run), add_label_set(installation, dataset)

    def stamps():
        with installation.database.reading() as session:
            pairs = (("run", run.id), ("prediction_set", set_id), ("label_set", label_set_id))
            return [exports.stamp(session, *pair) for pair in pairs]

    before = stamps()
    assert stamps() == before
    with installation.database.writing() as session:
        runs.update_run(session, run.id, best_epoch=9)
        runs.clear_predictions(session, set_id)
        classes = [{"index": 0, "name": "ground"}, {"index": 1, "name": "egg"}]
        session.get_one(Dataset, dataset.id).classes = classes
    assert all(now != then for now, then in zip(stamps(), before, strict=True))


def test_masks_are_prepared_again_once_another_region_is_left_out(installation, dataset):
    labels = add_label_set(installation, dataset)

    def stamp():
        with installation.database.reading() as session:
            return exports.stamp(session, "label_set", labels)

    before = stamp()
    leave_out(installation, dataset.id, np.arange(64 * 64).reshape(64, 64) < 640)
    assert stamp() != before


def test_every_format_says_what_it_is():
    assert len({made.title for made in formats().values()}) == len(formats())
    assert all(made.sentence.endswith(".") for made in formats().values())
    assert list(formats()) == [
        *("coco", "coco-rle", "coco-image", "yolo", "report", "keras", "savedmodel", "onnx"),
        *("objects-csv", "objects-parquet", "images-csv", "images-parquet"),
        *("label-maps", "imagej-roi", "geojson", "coco-objects"),
    ]
