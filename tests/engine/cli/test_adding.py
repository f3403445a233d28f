"""`import --into` and `remove-truth`: truth and masks from elsewhere for images that a dataset has already."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from db import datasets, recipes, submissions
from db.models import Dataset, Image, LabelSet, Prediction
from engine.imaging import codec, metrics
from engine.store import keys as stored
from tests.support.installation import add_discs, disc
from tests.support.predicted import add_run


def write(folder: Path, files: dict[str, np.ndarray]) -> Path:
    for name, pixels in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(codec.encode_png(pixels))
    return folder


def masks(count: int, value: int = 255, name: str = "disc {}_mask.png") -> dict[str, np.ndarray]:
    return {name.format(number): disc(seed=number)[1].astype(np.uint8) * value for number in range(count)}


def state(installation, dataset: Dataset) -> tuple[Dataset, list[Image]]:
    with installation.database.reading() as session:
        return session.get_one(Dataset, dataset.id), datasets.images(session, dataset.id)


def truth_of(installation, image: Image) -> np.ndarray:
    return codec.decode_png(installation.files.read(stored.truth_key(image.dataset_id, image.id)))


def test_truth_is_added_to_images_that_are_there(installation, ask, tmp_path):
    dataset = add_discs(installation, count=3, truth=False)
    folder = write(tmp_path / "drawn", masks(2) | {"nobody_mask.png": np.eye(64, dtype=np.uint8) * 255})
    labelled = ask("label", dataset.id, "--method", "threshold")
    assert labelled["scored_against_truth"] == 0
    added = ask("import", folder, "--into", "discs", "--as", "truth")
    assert (added["images"], added["truth"]) == (3, 2)
    with installation.database.reading() as session:
        assert recipes.summary(session, labelled["label_set"]).scored == 2
    assert added["notes"][0] == "2 mask files for 2 of 3 images of the dataset, paired by name."
    assert [entry["name"] for entry in added["skipped"]] == ["nobody_mask.png"]
    row, images = state(installation, dataset)
    assert [image.has_truth for image in images] == [True, True, False]
    assert np.array_equal(truth_of(installation, images[1]) == 255, disc(seed=1)[1])
    assert [entry["name"] for entry in row.classes] == ["background", "foreground"]
    assert (row.lookup[0], row.lookup[255], row.truth_version) == (0, 1, 2)


def test_masks_are_scored_against_replaced_truth_and_new_values_get_new_classes(installation, ask, tmp_path):
    dataset = add_discs(installation, count=2)
    add_run(installation, dataset, "run")
    before, images = state(installation, dataset)
    ids = {"disc 0_mask.png": 7, "disc 1_mask.png": 9}
    turned = {name: np.rot90(disc(seed=int(name[5]))[1]).copy() for name in ids}
    folder = write(tmp_path / "ids", {name: turned[name] * np.uint8(ids[name]) for name in ids})
    replaced = ask("import", folder, "--into", dataset.id, "--as", "truth")
    after, _ = state(installation, dataset)
    assert "The truth of 2 images was replaced" in replaced["notes"][1]
    assert after.truth_version > before.truth_version
    assert set(np.unique(truth_of(installation, images[0]))) == {0, 7}
    assert {after.lookup[7] > 0, after.lookup[9] > 0, after.lookup[0] == 0} == {True}
    with installation.database.reading() as session:
        predicted = {row.image_id: row for row in session.query(Prediction)}
    for image, mask in zip(images, turned.values(), strict=True):
        row = predicted[image.id]
        levels = codec.decode_png(installation.files.read(stored.prediction_key(row.prediction_set_id, image.id)))
        assert row.truth_dice == pytest.approx(metrics.dice(metrics.to_mask(levels, 0.5), mask))
        assert row.truth_counts == metrics.pack_counts(metrics.threshold_counts(levels, mask))


def test_replaced_truth_of_the_same_values_keeps_the_names_of_the_classes(installation, ask, tmp_path):
    dataset = add_discs(installation, count=2, truth=False)
    ask("import", write(tmp_path / "a", masks(2)), "--into", dataset.id, "--as", "truth")
    with installation.database.writing() as session:
        row = session.get_one(Dataset, dataset.id)
        classes = [row.classes[0], row.classes[1] | {"name": "nucleus"}]
        datasets.set_classes(session, dataset.id, classes, row.lookup)
    ask("import", write(tmp_path / "b", masks(2)), "--into", dataset.id, "--as", "truth")
    row, _ = state(installation, dataset)
    assert [entry["name"] for entry in row.classes] == ["background", "nucleus"]


def test_masks_that_the_classes_leave_without_foreground_are_reported(installation, ask, tmp_path):
    dataset = add_discs(installation, count=3)
    added = ask("import", write(tmp_path / "new", masks(1, value=1)), "--into", dataset.id, "--as", "truth")
    assert any("1 of 1 masks have no foreground" in note and "(1)" in note for note in added["notes"])


def test_masks_of_another_tool_become_a_label_set(installation, ask, tmp_path):
    dataset = add_discs(installation, count=3)
    made = ask("import", write(tmp_path / "sam", masks(2, 1)), "--into", dataset.id, "--as", "labels", "--name", "SAM")
    assert (made["labelled"], made["scored_against_truth"], made["dice"]) == (2, 2, 1.0)
    assert made["notes"][1] == "The masks are read as 0 = background, 1 = foreground."
    _, images = state(installation, dataset)
    levels = codec.decode_png(installation.files.read(stored.label_key(made["label_set"], images[0].id)))
    assert np.array_equal(levels, disc(seed=0)[1] * np.uint8(255))
    with installation.database.reading() as session:
        label_set = session.query(LabelSet).one()
    assert (label_set.name, label_set.method, label_set.params["source"]) == ("SAM", recipes.IMPORTED, "sam")


def test_a_probability_stays_one_and_an_image_is_no_mask_of_itself(installation, ask, tmp_path):
    add_discs(installation, count=2, truth=False)
    soft = np.linspace(0, 255, 64 * 64).astype(np.uint8).reshape(64, 64)
    folder = write(tmp_path / "soft", {"disc 0.png": soft, "notes/disc 1.png": np.rot90(soft).copy()})
    made = ask("import", folder, "--into", "discs", "--as", "labels")
    assert (made["labels"], made["labelled"], made["dice"]) == ("discs soft", 2, None)
    assert "a probability" in made["notes"][1]
    with installation.database.reading() as session:
        first = min(session.query(Image), key=lambda image: image.position)
    levels = codec.decode_png(installation.files.read(stored.label_key(made["label_set"], first.id)))
    assert np.array_equal(levels, soft)


def test_images_given_as_masks_are_refused_and_no_label_set_is_left(installation, command, ask, tmp_path):
    folder = write(tmp_path / "photos", {f"p{number}.png": disc(seed=number)[0] for number in range(2)})
    ask("import", folder, "--name", "photos")
    refused = command("import", folder, "--into", "photos", "--as", "labels", "--name", "x")
    assert "It is the image p0.png itself, not a mask of it." in refused.stderr
    refused = command("import", folder, "--into", "photos", "--as", "truth")
    assert "No mask could be taken. p0.png: It is the image p0.png itself" in refused.stderr
    with installation.database.reading() as session:
        assert session.query(LabelSet).count() == 0


def test_images_are_added_and_a_dry_run_stores_nothing(installation, command, ask, tmp_path):
    dataset = add_discs(installation, count=1, truth=False)
    folder = write(tmp_path / "more", {"new.png": disc(seed=8)[0]})
    assert ask("import", folder, "--into", "discs")["images"] == 2
    would = command("import", write(tmp_path / "m", masks(1)), "--into", "discs", "--as", "truth", "--dry-run")
    assert "1 mask file for 1 of 2 images of the dataset" in would.stdout
    assert state(installation, dataset)[0].truth_count == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--as", "truth"], "--as truth adds to a dataset: name it by --into DATASET."),
        (["--into", "discs", "--name", "x"], "--name names a new dataset or, with --as labels, a mask set."),
        (["--into", "nothing"], "There is no dataset 'nothing'."),
    ],
)
def test_options_that_do_not_fit_are_refused(installation, command, tmp_path, arguments, sentence):
    add_discs(installation, count=1)
    assert sentence in command("import", tmp_path, *arguments).stderr


def test_nothing_is_added_while_a_job_uses_the_dataset(installation, command, tmp_path):
    dataset = add_discs(installation, count=1)
    with installation.database.writing() as session:
        submissions.submit_truth(session, dataset.id, {"kind": "upload", "token": "a" * 32})
    for extra in (["--as", "truth"], ["--as", "labels"], []):
        assert "in use by a job (truth)" in command("import", tmp_path, "--into", "discs", *extra).stderr
    assert "in use by a job (truth)" in command("remove-truth", "discs", "--yes").stderr


def test_truth_is_removed_with_its_classes_and_can_be_added_again(installation, command, ask, tmp_path):
    dataset = add_discs(installation, count=2)
    add_run(installation, dataset, "run")
    assert "Add --yes" in command("remove-truth", "discs").stderr
    assert ask("remove-truth", "discs", "--yes")["removed"] == 2
    row, images = state(installation, dataset)
    assert (row.truth_count, row.classes, row.lookup) == (0, [], [])
    assert not any(image.has_truth for image in images)
    with installation.database.reading() as session:
        assert {(row.truth_dice, row.truth_counts) for row in session.query(Prediction)} == {(None, None)}
    assert not installation.files.exists(stored.truth_key(dataset.id, images[0].id))
    assert "has no truth" in command("remove-truth", "discs", "--yes").stderr
    before = row.truth_version
    ask("import", write(tmp_path / "again", masks(2)), "--into", "discs", "--as", "truth")
    row, _ = state(installation, dataset)
    assert (row.truth_count, row.lookup[255]) == (2, 1)
    assert row.truth_version > before


def outlines(folder: Path, *images: int) -> Path:
    """Write COCO JSON with one square, 20 to 40 px, for each of the images of `add_discs`; return the folder."""
    square = [[20, 20, 40, 20, 40, 40, 20, 40]]
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "categories": [{"id": 3, "name": "cell"}],
        "images": [{"id": number, "file_name": f"disc {number}.png"} for number in images],
        "annotations": [{"id": n, "image_id": n, "category_id": 3, "segmentation": square} for n in images],
    }
    (folder / "coco.json").write_text(json.dumps(parts))
    return folder


def test_truth_and_label_sets_from_annotation_files(installation, ask, tmp_path):
    dataset = add_discs(installation, count=3, truth=False)
    folder = outlines(tmp_path / "outlines", 0, 1)
    planned = ask("import", folder, "--into", "discs", "--as", "truth", "--dry-run")
    assert (planned["with_mask"], planned["pairs"][0]["masks"], planned["left_out"]) == (2, ["outlines"], [])
    added = ask("import", folder, "--into", "discs", "--as", "truth")
    assert (added["truth"], added["skipped"]) == (2, [])
    assert added["noted"] == [{"name": "coco.json", "reason": "Images described: 2; objects: 2."}]
    row, images = state(installation, dataset)
    assert [entry["name"] for entry in row.classes] == ["background", "cell"]
    square = np.zeros((64, 64), bool)
    square[20:40, 20:40] = True
    assert np.array_equal(np.asarray(row.lookup)[truth_of(installation, images[1])] == 1, square)

    labelled = ask("import", folder, "--into", "discs", "--as", "labels", "--name", "drawn")
    assert (labelled["labelled"], labelled["dice"]) == (2, 1.0)


def test_outlines_beside_a_mask_and_the_classes_that_a_dataset_has(installation, ask, tmp_path):
    images = {f"disc {number}.png": disc(seed=number)[0] for number in range(3)}
    imported = ask("import", write(tmp_path / "own", images | masks(3)), "--name", "own")
    with installation.database.reading() as session:
        dataset = session.get_one(Dataset, imported["dataset"])
    folder = write(outlines(tmp_path / "both", 0, 1), masks(1))
    added = ask("import", folder, "--into", "own", "--as", "truth")
    assert added["notes"][0] == "1 mask file for 1 of 3 images of the dataset, paired by name."
    assert "1 image has a mask and outlines; the mask is taken." in added["notes"]
    row, stored_images = state(installation, dataset)
    assert "cell" in [entry["name"] for entry in row.classes]
    for number, size in ((0, disc(seed=0)[1].sum()), (1, 400), (2, disc(seed=2)[1].sum())):
        assert (np.asarray(row.lookup)[truth_of(installation, stored_images[number])] > 0).sum() == size
