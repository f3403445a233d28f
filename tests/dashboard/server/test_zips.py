"""Zips that are made while they are sent: their order, their limits, and what a client that leaves holds back."""

from __future__ import annotations

import csv
import http.client
import io
import json
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from dashboard.facts import urls
from dashboard.server import exports
from db import datasets, runs
from db.models import Dataset, Prediction, Run
from engine.imaging import class_maps, codec, metrics
from engine.imaging.corrections import UNTOUCHED
from engine.store import keys as stored
from tests.support.class_runs import NAMES, add_class_run, add_classes
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.serving import serving


@pytest.fixture
def served(dashboard):
    with serving() as server:
        yield server


@pytest.fixture
def predicted(dashboard):
    """Return (dataset, run, prediction set's id) of six discs."""
    dataset = add_discs(dashboard, 6)
    run = add_run(dashboard, dataset, "a run", label_set_id=add_label_set(dashboard, dataset))
    with dashboard.database.reading() as session:
        return dataset, run, runs.own_prediction_set(session, run).id


def archive_of(answer):
    assert answer.status == 200
    return zipfile.ZipFile(io.BytesIO(answer.body))


def pixels(archive, name):
    return np.asarray(Image.open(io.BytesIO(archive.read(name))))


def test_masks_come_as_classes_and_as_cut_outs(dashboard, predicted, served):
    dataset, _, set_id = predicted
    masks = archive_of(served.ask(urls.masks_zip("prediction_set", set_id, 0.3)))
    classes = archive_of(served.ask(urls.masks_zip("prediction_set", set_id, 0.3, kind="classes")))
    cutouts = archive_of(served.ask(urls.masks_zip("prediction_set", set_id, 0.3, kind="cutouts")))
    mask = pixels(masks, "masks/disc 0.png")
    assert set(np.unique(mask)) == {0, 255}
    assert (pixels(classes, "classes/disc 0.png") * 255 == mask).all()
    with dashboard.database.reading() as session:
        image_id = datasets.images(session, dataset.id)[0].id
    image = codec.decode_png(dashboard.files.read(stored.image_key(dataset.id, image_id)))
    cutout = pixels(cutouts, "cutouts/disc 0.png")
    assert (cutout[..., 3] == mask).all() and (cutout[mask > 0][:, :3] == image[mask > 0]).all()
    assert len(cutouts.namelist()) == 7
    assert served.ask(f"/files/predictions/{set_id}/masks.zip?kind=../etc").status == 400


def test_labels_come_in_the_same_ways(dashboard, predicted, served):
    _, run, _ = predicted
    classes = archive_of(served.ask(urls.masks_zip("label_set", run.label_set_id, kind="classes", probabilities=True)))
    folders = {name.partition("/")[0] for name in classes.namelist()}
    assert folders == {"classes", "probabilities", "scores.csv"}
    table = served.ask(urls.scores_csv("label_set", run.label_set_id)).body.decode("utf-8-sig")
    assert next(csv.reader(io.StringIO(table)))[4] == "quality"


def test_masks_of_several_classes_have_their_numbers_names_and_colours(dashboard, served):
    dataset = add_classes(dashboard)
    _, set_id = add_class_run(dashboard, dataset)
    masks, coloured, cutouts = (
        archive_of(served.ask(urls.masks_zip("prediction_set", set_id, kind=kind)))
        for kind in ("masks", "palette", "cutouts")
    )
    with dashboard.database.reading() as session:
        image_id = datasets.images(session, dataset.id)[0].id
    truth = codec.decode_png(dashboard.files.read(stored.truth_key(dataset.id, image_id)))
    found = pixels(masks, "masks/image 0.png")
    np.testing.assert_array_equal(found, np.uint8([0, 1, 2, 2])[truth])
    assert (pixels(coloured, "palette/image 0.png") == found).all()
    assert ((pixels(cutouts, "cutouts/image 0.png")[..., 3] > 0) == (found > 0)).all()
    for archive in (masks, coloured):
        assert archive.namelist()[-2:] == ["classes.json", "scores.csv"]
        rows = json.loads(archive.read("classes.json"))["classes"]
        assert [(row["number"], row["name"]) for row in rows] == list(enumerate(NAMES))
        assert rows[1]["colour"] == "#D55E00"


def test_a_zip_has_the_colours_that_the_dataset_gives_its_classes_now(dashboard, served):
    dataset = add_classes(dashboard)
    _, set_id = add_class_run(dashboard, dataset)
    with dashboard.database.writing() as session:
        entries = [entry | ({"colour": "#123456"} if entry["index"] == 1 else {}) for entry in dataset.classes]
        datasets.set_classes(session, dataset.id, entries, list(dataset.lookup))
    archive = archive_of(served.ask(urls.masks_zip("prediction_set", set_id, kind="palette")))
    rows = json.loads(archive.read("classes.json"))["classes"]
    assert [row["colour"] for row in rows[:2]] == ["#000000", "#123456"]
    with Image.open(io.BytesIO(archive.read("palette/image 0.png"))) as picture:
        assert bytes(picture.getpalette()[3:6]) == bytes.fromhex("123456")


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_the_table_of_several_classes_has_share_and_scores_of_each(dashboard, served, threshold):
    dataset = add_classes(dashboard, 1)
    _, set_id = add_class_run(dashboard, dataset)
    table = served.ask(urls.scores_csv("prediction_set", set_id, threshold)).body.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(table))
    with dashboard.database.reading() as session:
        image_id = datasets.images(session, dataset.id)[0].id
    keys = [stored.prediction_key(set_id, image_id), stored.prediction_classes_key(set_id, image_id)]
    keys.append(stored.truth_key(dataset.id, image_id))
    levels, likely, truth = (codec.decode_png(dashboard.files.read(key)) for key in keys)
    found = class_maps.to_classes(levels, likely, threshold)
    for number, name in enumerate(NAMES[1:], start=1):
        one, other = found == number, truth == number
        assert float(row[f"share_{name}"]) == pytest.approx(one.mean(), abs=1e-6)
        assert float(row[f"truth_dice_{name}"]) == pytest.approx(metrics.dice(one, other), abs=1e-6)
        assert float(row[f"truth_iou_{name}"]) == pytest.approx(metrics.iou(one, other), abs=1e-6)
    shares = sum(float(row[f"share_{name}"]) for name in NAMES[1:])
    assert shares == pytest.approx(float(row["foreground_share"]), abs=1e-5)


NOW = {
    "more": (("background", "a", "b", "c", "d"), [0, 4, 2, 3]),
    "merged": (("background", "food"), [0, 1, 1, 1]),
    "renumbered": (("background", "=pan", "egg", "cup"), [0, 2, 1, 3]),
    "same names": (NAMES, [0, 1, 1, 3]),
}


@pytest.mark.parametrize("now", NOW)
def test_the_table_keeps_the_classes_that_truth_had_when_it_was_compared(dashboard, served, now):
    dataset = add_classes(dashboard, 1)
    _, set_id = add_class_run(dashboard, dataset)
    address = urls.scores_csv("prediction_set", set_id, 0.4)
    before = served.ask(address).body
    names, indices = NOW[now]
    with dashboard.database.writing() as session:
        classes = [{"index": index, "name": name} for index, name in enumerate(names)]
        datasets.set_classes(session, dataset.id, classes, [indices[min(value, 3)] for value in range(256)])
    assert served.ask(address).body == before


def test_scores_of_classes_are_empty_if_truth_has_others_than_it_was_compared_with(dashboard, served):
    dataset = add_classes(dashboard, 1)
    _, set_id = add_class_run(dashboard, dataset)
    with dashboard.database.writing() as session:
        session.query(Run).update({"lookup": [0] * 256})
        classes = [{"index": index, "name": str(index)} for index in range(6)]
        datasets.set_classes(session, dataset.id, classes, [value % 6 for value in range(256)])
    archive = archive_of(served.ask(urls.masks_zip("prediction_set", set_id, 0.4)))
    (row,) = csv.DictReader(io.StringIO(archive.read("scores.csv").decode("utf-8-sig")))
    assert {row[f"truth_{of}_{name}"] for of in ("dice", "iou") for name in NAMES[1:]} == {""}


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_shares_of_classes_are_of_all_pixels_whatever_truth_ignores(dashboard, served, threshold):
    dataset = add_classes(dashboard, 1)
    with dashboard.database.writing() as session:
        lookup = [255 if value == 2 else min(value, 3) for value in range(256)]
        datasets.set_classes(session, dataset.id, dataset.classes, lookup)
        image_id = datasets.images(session, dataset.id)[0].id
        dataset = session.get_one(Dataset, dataset.id)
    _, set_id = add_class_run(dashboard, dataset)
    keys = [stored.prediction_key(set_id, image_id), stored.prediction_classes_key(set_id, image_id)]
    found = class_maps.to_classes(*(codec.decode_png(dashboard.files.read(key)) for key in keys), threshold)
    shares = []
    for without_truth in (False, True):
        if without_truth:
            with dashboard.database.writing() as session:
                session.query(Prediction).update({"truth_confusion": None, "truth_counts": None})
        table = served.ask(urls.scores_csv("prediction_set", set_id, threshold)).body.decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(table))
        shares.append([row["foreground_share"], *(row[f"share_{name}"] for name in NAMES[1:])])
    assert shares[0] == shares[1]
    expected = [(found > 0).mean(), *((found == number).mean() for number in (1, 2, 3))]
    assert [float(share) for share in shares[0]] == pytest.approx(expected, abs=1e-6)


def test_classes_without_truth_have_a_share_only(dashboard, served):
    dataset = add_classes(dashboard, 1)
    _, set_id = add_class_run(dashboard, dataset)
    with dashboard.database.writing() as session:
        session.query(Prediction).update({"truth_confusion": None, "truth_counts": None})
    table = served.ask(urls.scores_csv("prediction_set", set_id)).body.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(table))
    assert float(row["share_egg"]) > 0 and row["share_cup"] == "0.000000"
    assert row["truth_dice_egg"] == row["truth_iou_cup"] == ""


def test_the_table_comes_last_and_names_each_reference(dashboard, predicted, served):
    _, _, set_id = predicted
    archive = archive_of(served.ask(urls.masks_zip("prediction_set", set_id)))
    assert archive.namelist()[-1] == "scores.csv"
    rows = list(csv.DictReader(io.StringIO(archive.read("scores.csv").decode("utf-8-sig"))))
    assert len(rows) == 6 and rows[0]["split"] == "validation"
    assert {"flip_agreement", "truth_dice", "pseudo_label_dice", "pseudo_label_quality"} <= rows[0].keys()
    assert float(rows[0]["truth_dice"]) == pytest.approx(1.0, abs=1e-6)


def test_a_zip_of_corrections_is_what_the_command_line_reads(dashboard, served):
    dataset = add_discs(dashboard, 3)
    drawn = np.full((64, 64), UNTOUCHED, np.uint8)
    drawn[:9] = 1
    correct(dashboard, dataset, "disc 1.png", drawn, finished=False)
    archive = archive_of(served.ask(urls.corrections_zip(dataset.id)))
    assert archive.namelist() == ["corrections/disc 1.png"]
    assert np.array_equal(codec.decode_png(archive.read("corrections/disc 1.png")), drawn)


def test_more_entries_than_an_old_zip_can_number():
    members = ((f"masks/{number}.png", b"x") for number in range(65_536 + 10))
    data = b"".join(exports.zip_stream(members))
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert len(archive.namelist()) == 65_546 and archive.read("masks/65545.png") == b"x"


def test_offsets_beyond_what_an_old_zip_can_hold(monkeypatch):
    # The limit is lowered instead of writing four gigabytes: the same records are then written
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    data = b"".join(exports.zip_stream((f"{number}.png", bytes(3_000)) for number in range(20)))
    monkeypatch.undo()
    assert b"PK\x06\x06" in data and b"PK\x06\x07" in data
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None and len(archive.namelist()) == 20


def test_small_entries_are_gathered_but_the_first_is_sent_at_once():
    asked = []

    def members():
        for number in range(100):
            asked.append(number)
            yield f"{number}.png", bytes(5_000)

    stream = exports.zip_stream(members())
    first = next(stream)
    assert asked == [0] and zipfile.sizeFileHeader + 5_000 < len(first) < 6_000
    pieces = list(stream)
    assert all(len(piece) < 2 * exports.PIECE_BYTES for piece in pieces)
    assert len(pieces) < 12


def test_a_slow_client_is_waited_for_and_one_that_leaves_ends_the_work(dashboard, predicted, served, monkeypatch):
    made, ended = [], threading.Event()

    def endless(*arguments):
        try:
            for number in range(100_000):
                made.append(number)
                yield f"masks/{number}.png", bytes(200_000)
        finally:
            ended.set()

    monkeypatch.setattr(exports, "mask_members", endless)
    _, _, set_id = predicted
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", urls.masks_zip("prediction_set", set_id))
    response = connection.getresponse()
    response.read(1000)
    before = -1
    while before != len(made):  # it goes on only until the buffers between us are full
        before = len(made)
        time.sleep(0.5)
    assert len(made) < 200
    small = served.ask(urls.scores_csv("prediction_set", set_id))  # the server is not held up by it
    assert small.status == 200
    response.close()
    connection.close()
    assert ended.wait(20)
    assert len(made) < 400
