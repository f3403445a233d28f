"""Strokes through the command line: drawn on some images, learned from by a job, and masks of all images."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from db import datasets
from db.models import LabelSet
from engine.imaging import codec, metrics
from engine.imaging.corrections import UNTOUCHED
from engine.store import keys as stored
from tests.support.calling import call
from tests.support.installation import add_dataset

SIDE = 96


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image uint8 RGB with a red and a green disc, and its class map: only the red one is meant, class 1."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), (60, 60, 70), np.uint8)
    classes = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(value) for value in rng.integers(16, SIDE - 16, 2))
    for number, colour, at in ((1, (200, 40, 40), (x, 24)), (2, (40, 180, 40), (y, 70))):
        cv2.circle(image, at, 13, colour, -1)
        cv2.circle(classes, at, 13, number, -1)
    noisy = image + rng.normal(0, 6, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), classes


@pytest.fixture
def ask(installation, one_core):
    def asked(*arguments):
        ended = call(installation.settings, *arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return asked


@pytest.fixture
def scenes(installation):
    add_dataset(installation, "scenes", [(scene(number)[0], None) for number in range(8)], "scene {}.png")


def strokes(folder, numbers, values):
    """Write strokes of 5 px in the middle of each region: `values` has the class drawn for class 0, 1 and 2."""
    folder.mkdir()
    for number in numbers:
        drawn = np.full((SIDE, SIDE), UNTOUCHED, np.uint8)
        classes = scene(number)[1]
        for region, value in enumerate(values):
            depth = cv2.distanceTransform(np.pad((classes == region).astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
            row, column = np.unravel_index(int(depth.argmax()), depth.shape)
            cv2.circle(drawn, (int(column), int(row)), 4, value, -1)
        (folder / f"scene {number}.png").write_bytes(codec.encode_png(drawn))
    return folder


def test_without_strokes_a_sentence_says_what_to_do(installation, scenes, one_core):
    ended = call(installation.settings, "label", "scenes", "--method", "strokes")
    assert ended.returncode and "no image has one. Draw strokes on at least one image." in ended.stderr


def test_strokes_on_two_images_mark_what_is_meant_in_all(installation, scenes, ask, tmp_path):
    ask("correct", "scenes", strokes(tmp_path / "strokes", (0, 1), (0, 1, 0)), "--strokes")
    found = ask("label", "scenes", "--method", "strokes", "--out", tmp_path / "masks")
    assert found["weights"] == "", "this installation has no pretrained weights"
    with installation.database.reading() as session:
        (dataset,) = datasets.listing(session)
    kept = installation.files.keys(stored.features_folder(dataset.id))
    assert len(kept) == 8, "the features of all images, also of those with strokes, are computed once"
    versions = [installation.files.version(key) for key in kept]
    ask("label", "scenes", "--method", "strokes")
    assert [installation.files.version(key) for key in kept] == versions
    for number in range(2, 8):
        mask = codec.decode_png((tmp_path / "masks" / f"scene {number}.png").read_bytes()) > 0
        assert metrics.dice(mask, scene(number)[1] == 1) > 0.8


def test_strokes_of_two_classes_make_masks_of_two_classes(installation, scenes, ask, tmp_path):
    with installation.database.writing() as session:
        (dataset,) = datasets.listing(session)
        names = enumerate(("background", "red", "green"))
        dataset.classes = [{"index": index, "name": name, "value": index} for index, name in names]
    ask("correct", "scenes", strokes(tmp_path / "strokes", (0, 1, 2), (0, 1, 2)), "--strokes")
    label_set = ask("label", "scenes", "--method", "strokes", "--out", tmp_path / "masks")["label_set"]
    with installation.database.reading() as session:
        assert len(session.get_one(LabelSet, label_set).classes) == 3
    for number in range(3, 8):
        mask = codec.decode_png((tmp_path / "masks" / f"scene {number}.png").read_bytes())
        for value in (1, 2):
            assert metrics.dice(mask == value, scene(number)[1] == value) > 0.6


def test_the_audit_teaches_nothing(installation, scenes, ask, tmp_path):
    ask("correct", "scenes", strokes(tmp_path / "meant", (0, 1), (0, 1, 0)), "--strokes")
    assert len(ask("audit", "scenes", "--images", "6")["images"]) == 6
    ask("correct", "scenes", strokes(tmp_path / "all", range(2, 8), (0, 0, 1)))  # the contrary of what was meant
    ask("label", "scenes", "--method", "strokes", "--out", tmp_path / "masks")
    drawn = {path.name: codec.decode_png(path.read_bytes()) for path in (tmp_path / "all").iterdir()}
    for number in range(2, 8):
        name = f"scene {number}.png"
        untouched = drawn[name] == UNTOUCHED  # the mask is written with the correction laid over it
        mask = codec.decode_png((tmp_path / "masks" / name).read_bytes()) > 0
        assert metrics.dice(mask[untouched], (scene(number)[1] == 1)[untouched]) > 0.7


def test_retraining_draws_the_labels_anew_from_all_corrections(installation, scenes, ask, tmp_path):
    ask("correct", "scenes", strokes(tmp_path / "strokes", (0, 1), (0, 1, 1)), "--strokes")
    masks = ask("label", "scenes", "--method", "strokes", "--name", "masks")["label_set"]
    tiny = ("-p", "training.epochs=1", "-p", "model.image_size=32", "-p", "model.base_filters=2", "-p", "model.depth=1")
    old = ask("train", "scenes", "--labels", masks, "--name", "network", *tiny)
    ask("correct", "scenes", strokes(tmp_path / "more", (0, 1, 2), (0, 1, 0)), "--strokes")  # green is not meant
    new = ask("retrain", "network")
    assert (new["status"], new["measures"]) == ("finished", []), "each has labels of its own, and there is no truth"
    with installation.database.reading() as session:
        before, after = (session.get_one(LabelSet, each["labels"]) for each in (old, new))
        assert (after.name, after.method, after.params, after.job_id) == ("masks #2", "strokes", before.params, None)
        images = datasets.images(session, before.dataset_id)
    for number, image in list(enumerate(images))[3:]:
        green = scene(number)[1] == 2
        marked = [
            codec.decode_png(installation.files.read(stored.label_key(each.id, image.id))) for each in (before, after)
        ]
        assert (marked[0][green] > 127).mean() > 0.6 and (marked[1][green] > 127).mean() < 0.4


def test_labels_that_are_drawn_anew_keep_the_classes_of_their_network(installation, scenes, ask, tmp_path):
    with installation.database.writing() as session:
        (dataset,) = datasets.listing(session)
        names = enumerate(("background", "red", "green", "blue"))
        dataset.classes = [{"index": index, "name": name, "value": index} for index, name in names]
    ask("correct", "scenes", strokes(tmp_path / "red", (0,), (0, 1, UNTOUCHED)), "--strokes")
    ask("correct", "scenes", strokes(tmp_path / "green", (1,), (0, UNTOUCHED, 2)), "--strokes")
    masks = ask("label", "scenes", "--method", "strokes", "--name", "masks")["label_set"]
    tiny = ("-p", "training.epochs=1", "-p", "model.image_size=32", "-p", "model.base_filters=2", "-p", "model.depth=1")
    ask("train", "scenes", "--labels", masks, "--name", "network", *tiny)
    ask("corrections", "scenes", "--withdraw", "scene 1")
    new = ask("retrain", "network")
    assert new["status"] == "finished", "only one of the three classes is drawn by now"
    assert ask("doctor")["clean"]
