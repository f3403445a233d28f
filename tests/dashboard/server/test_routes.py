"""The routes for pictures and downloads, asked over HTTP."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import delete

from dashboard.facts import urls
from dashboard.server import resources, routes
from db import datasets, recipes, runs
from db.columns import new_id
from db.models import Dataset, Label, LabelSet, Run
from engine.core.run_config import PRESETS
from engine.imaging import codec, metrics
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.serving import serving

SIZE_PX = 240


@pytest.fixture
def served(dashboard):
    with serving() as server:
        yield server


@pytest.fixture
def discs(dashboard):
    return add_discs(dashboard, count=3, size_px=SIZE_PX)


def image_ids(installation, dataset_id):
    with installation.database.reading() as session:
        return [image.id for image in datasets.images(session, dataset_id)]


def pixels(answer):
    return np.asarray(Image.open(io.BytesIO(answer.body)))


def test_a_patch_is_a_small_square_around_its_place_and_stays_inside(served, dashboard, discs):
    image_id = image_ids(dashboard, discs.id)[0]
    whole = codec.decode_png(dashboard.files.read(stored.image_key(discs.id, image_id))).astype(int)
    answer = served.ask(urls.patch(discs.id, image_id, 0.5, 0.25))
    assert answer.status == 200
    square = pixels(answer).astype(int)
    assert square.shape == (34, 34, 3)
    assert abs(square.mean((0, 1)) - whole[103:137, 43:77].mean((0, 1))).max() < 6
    assert pixels(served.ask(urls.patch(discs.id, image_id, 1, 0))).shape == (34, 34, 3)
    assert served.ask(f"/files/datasets/{discs.id}/patches/{image_id}?row=2").status == 400


def ramp():
    return np.tile(np.linspace(0, 255, SIZE_PX).round().astype(np.uint8), (SIZE_PX, 1))


def add_labels(installation, dataset):
    with installation.database.writing() as session:
        label_set = recipes.create(session, session.get_one(Dataset, dataset.id), "ramps", "kmeans", {}, 0, "1")
        rows = [
            {"image_id": image_id, "area": 0.5, "dice": 0.25, "iou": None}
            for image_id in image_ids(installation, dataset.id)
        ]
        for row in rows:
            installation.files.write(stored.label_key(label_set.id, row["image_id"]), codec.encode_png(ramp()))
        recipes.add_labels(session, label_set.id, rows)
        return label_set.id


def add_predictions(installation, dataset):
    truth = np.zeros((SIZE_PX, SIZE_PX), dtype=bool)
    truth[:, SIZE_PX // 2 :] = True
    packed = metrics.pack_counts(metrics.threshold_counts(ramp(), truth))
    with installation.database.writing() as session:
        config = PRESETS["fast"].model_dump(mode="json")
        run = runs.create(session, session.get_one(Dataset, dataset.id), None, "Läufe/1", "fast", config, "1")
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, False)
        rows = [
            {"image_id": image_id, "area": 0.5, "mean_probability": 0.5, "truth_counts": packed}
            for image_id in image_ids(installation, dataset.id)
        ]
        runs.add_predictions(session, set_id, rows)
        runs.save_metrics(session, run.id, 1, {"loss": 0.5, "val_dice": 0.25})
        runs.save_metrics(session, run.id, 2, {"loss": 0.25})
    for row in rows:
        installation.files.write(stored.prediction_key(set_id, row["image_id"]), codec.encode_png(ramp()))
    return run.id, set_id


def test_an_image_comes_whole_smaller_and_as_thumbnail(dashboard, discs, served):
    image_id = image_ids(dashboard, discs.id)[0]
    whole = served.ask(urls.image(discs.id, image_id))
    assert (whole.status, whole.headers["content-type"]) == (200, "image/png")
    assert whole.body == dashboard.files.read(stored.image_key(discs.id, image_id))
    assert "immutable" in whole.headers["cache-control"] and whole.headers["x-content-type-options"] == "nosniff"
    for address in (urls.thumbnail(discs.id, image_id), urls.image(discs.id, image_id, 192)):
        small = served.ask(address)
        assert (small.headers["content-type"], pixels(small).shape) == ("image/webp", (192, 192, 3))


def test_a_smaller_copy_is_never_larger_than_its_source(dashboard, discs, served):
    label_set_id = add_labels(dashboard, discs)
    image_id = image_ids(dashboard, discs.id)[0]
    assert pixels(served.ask(urls.label(label_set_id, image_id, 192))).shape == (192, 192)
    assert pixels(served.ask(urls.label(label_set_id, image_id, 768))).shape == (SIZE_PX, SIZE_PX)
    assert (pixels(served.ask(urls.label(label_set_id, image_id))) == ramp()).all()


def test_truth_is_grey_by_the_mapping_and_follows_a_changed_one(dashboard, discs, served):
    image_id = image_ids(dashboard, discs.id)[0]
    address = urls.truth(discs.id, image_id)
    first = served.ask(address)
    disc = codec.decode_png(dashboard.files.read(stored.truth_key(discs.id, image_id))) == 255
    assert (pixels(first) == disc * 255).all()
    assert served.ask(address, if_none_match=first.headers["etag"]).status == 304
    with dashboard.database.writing() as session:
        classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "a"}, {"index": 2, "name": "b"}]
        datasets.set_classes(session, discs.id, classes, [2 if value < 10 else 0 for value in range(256)])
    changed = served.ask(address, if_none_match=first.headers["etag"])
    assert changed.status == 200 and (pixels(changed) == ~disc * 255).all()


def test_the_tag_of_truth_is_the_same_in_every_process(dashboard, discs, served, monkeypatch):
    monkeypatch.setattr(routes, "file_tag", lambda key, variant: f'"{variant}"')
    image_id = image_ids(dashboard, discs.id)[0]
    with dashboard.database.writing() as session:
        classes = [{"index": 0, "name": "background"}, {"index": 1, "name": "a", "colour": "#0072B2"}]
        datasets.set_classes(session, discs.id, classes, [value // 128 for value in range(256)])
    tag = served.ask(urls.truth(discs.id, image_id, 192, colour=True)).headers["etag"]
    assert tag == '"colour192-01bf81f1"'


def test_truth_in_colour_is_clear_where_it_is_background(dashboard, discs, served):
    image_id = image_ids(dashboard, discs.id)[0]
    shown = Image.open(io.BytesIO(served.ask(urls.truth(discs.id, image_id, colour=True)).body)).convert("RGBA")
    disc = codec.decode_png(dashboard.files.read(stored.truth_key(discs.id, image_id))) == 255
    assert ((np.asarray(shown)[..., 3] > 0) == disc).all()
    assert (np.asarray(shown)[disc] == (213, 94, 0, 255)).all()
    with dashboard.database.writing() as session:
        dataset = session.get_one(Dataset, discs.id)
        classes = [dataset.classes[0], dataset.classes[1] | {"colour": "#0072B2"}]
        datasets.set_classes(session, discs.id, classes, dataset.lookup)
    shown = Image.open(io.BytesIO(served.ask(urls.truth(discs.id, image_id, colour=True)).body)).convert("RGBA")
    assert (np.asarray(shown)[disc] == (0, 114, 178, 255)).all()


def test_truth_as_classes_has_the_class_as_its_grey_value(dashboard, discs, served):
    image_id = image_ids(dashboard, discs.id)[0]
    with dashboard.database.writing() as session:
        classes = [{"index": index, "name": str(index)} for index in range(4)]
        datasets.set_classes(session, discs.id, classes, [3 if value == 255 else 0 for value in range(256)])
    disc = codec.decode_png(dashboard.files.read(stored.truth_key(discs.id, image_id))) == 255
    address = urls.truth(discs.id, image_id, classes=True)
    assert (pixels(served.ask(address)) == disc * 3).all()
    smaller = pixels(served.ask(urls.sized(address, 192)))
    assert smaller.shape == (192, 192) and set(np.unique(smaller)) == {0, 3}


def test_truth_has_the_classes_of_the_run_that_is_named(dashboard, discs, served):
    image_id = image_ids(dashboard, discs.id)[0]
    run_id, _ = add_predictions(dashboard, discs)
    with dashboard.database.writing() as session:
        session.get_one(Run, run_id).lookup = [2 if value == 255 else 0 for value in range(256)]
    disc = codec.decode_png(dashboard.files.read(stored.truth_key(discs.id, image_id))) == 255
    assert (pixels(served.ask(urls.truth(discs.id, image_id, classes=True))) == disc).all()
    assert (pixels(served.ask(urls.truth(discs.id, image_id, classes=True, run_id=run_id))) == disc * 2).all()
    assert served.ask(urls.truth(discs.id, image_id, classes=True, run_id="0" * 32)).status == 404


def test_classes_of_a_pseudo_label_come_whole_and_smaller(dashboard, discs, served):
    label_set_id, image_id = add_labels(dashboard, discs), image_ids(dashboard, discs.id)[0]
    classes = np.where(ramp() < 128, 0, 2).astype(np.uint8)
    dashboard.files.write(stored.label_classes_key(label_set_id, image_id), codec.encode_png(classes))
    assert (pixels(served.ask(urls.label_classes(label_set_id, image_id))) == classes).all()
    smaller = pixels(served.ask(urls.label_classes(label_set_id, image_id, 192)))
    assert smaller.shape == (192, 192) and set(np.unique(smaller)) == {0, 2}


def test_predicted_classes_come_whole_and_smaller_with_no_number_between_theirs(dashboard, discs, served):
    _, set_id = add_predictions(dashboard, discs)
    image_id = image_ids(dashboard, discs.id)[0]
    classes = np.where(ramp() < 128, 1, 3).astype(np.uint8)
    address = urls.prediction_classes(set_id, image_id)
    assert served.ask(address).status == 404, "only a run that tells classes apart has them"
    dashboard.files.write(stored.prediction_classes_key(set_id, image_id), codec.encode_png(classes))
    assert (pixels(served.ask(address)) == classes).all()
    smaller = pixels(served.ask(urls.prediction_classes(set_id, image_id, 192)))
    assert smaller.shape == (192, 192) and set(np.unique(smaller)) == {1, 3}
    assert served.ask(address, sec_fetch_site="cross-site").status == 403


def test_classes_of_a_probe_image_come_beside_its_probability(dashboard, discs, served):
    run_id, _ = add_predictions(dashboard, discs)
    image_id = image_ids(dashboard, discs.id)[0]
    classes = np.where(ramp() < 128, 1, 3).astype(np.uint8)
    dashboard.files.write(stored.probe_key(run_id, 2, image_id), codec.encode_png(ramp()))
    assert served.ask(urls.probe_classes(run_id, 2, image_id)).status == 404
    dashboard.files.write(stored.probe_classes_key(run_id, 2, image_id), codec.encode_png(classes))
    assert (pixels(served.ask(urls.probe_classes(run_id, 2, image_id))) == classes).all()
    assert (pixels(served.ask(urls.probe(run_id, 2, image_id))) == ramp()).all()


@pytest.mark.parametrize(
    "path",
    [
        "datasets/{dataset}/images/..%2F..%2Fapp.db",
        "datasets/..%2F..%2Fetc/images/passwd",
        "datasets/{dataset}/images/" + "A" * 32,
        "datasets/{dataset}/images/" + "0" * 32,
        "labels/" + "0" * 32 + "/" + "0" * 32,
        "runs/" + "0" * 32 + "/model.keras",
        "runs/" + "0" * 32 + "/probe/1/" + "0" * 32,
        "runs/" + "0" * 32 + "/rounds/1/labels/" + "0" * 32,
        "runs/..%2F..%2Fetc/rounds/1/masks/" + "0" * 32,
        "runs/" + "0" * 32 + "/rounds/x/masks/" + "0" * 32,
        "runs/" + "0" * 32 + "/rounds/" + "1" * 5000 + "/masks/" + "0" * 32,
        "runs/" + "0" * 32 + "/probe/" + "1" * 5000 + "/" + "0" * 32,
        "predictions/" + "0" * 32 + "/classes/..%2F..%2Fapp.db",
        "predictions/" + "0" * 32 + "/uncertainty/..%2F..%2Fapp.db",
        "predictions/nonsense/masks.zip",
        "preview/" + "0" * 32,
    ],
)
def test_what_is_not_there_or_is_no_id_is_a_plain_404(discs, served, path):
    answer = served.ask(f"{urls.PREFIX}/{path}".replace("{dataset}", discs.id))
    assert answer.status == 404
    assert b"/" not in answer.body.replace(b"application/json", b""), "the answer must not tell a path"


def test_another_sites_page_gets_nothing(dashboard, discs, served):
    address = urls.thumbnail(discs.id, image_ids(dashboard, discs.id)[0])
    assert served.ask(address, sec_fetch_site="cross-site").status == 403
    assert served.ask(address, sec_fetch_site="same-origin").status == 200
    assert served.ask(address).headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("query", ["size=191", "size=-1", "size=x", "size=" + "9" * 400])
def test_only_listed_sizes_are_made(dashboard, discs, served, query):
    answer = served.ask(f"{urls.image(discs.id, image_ids(dashboard, discs.id)[0])}?{query}")
    assert answer.status == 400 and b"size" in answer.body and len(answer.body) < 200


def test_a_preview_is_served_under_a_key_that_its_bytes_decide(dashboard, served):
    png = codec.encode_png(ramp())
    key = resources.previews().put(png)
    assert resources.previews().put(png) == key and len(key) == 32
    assert served.ask(urls.preview(key)).body == png


def test_a_zip_of_predictions_has_masks_at_the_threshold_a_table_and_probabilities(dashboard, discs, served):
    _, set_id = add_predictions(dashboard, discs)
    answer = served.ask(urls.masks_zip("prediction_set", set_id, 0.25, probabilities=True))
    assert "L%C3%A4ufe%2F1%20on%20discs.zip" in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    names = [f"disc {number}.png" for number in range(3)]
    assert set(archive.namelist()) == {"scores.csv", *(f"{f}/{n}" for f in ("masks", "probabilities") for n in names)}
    mask = codec.decode_png(archive.read("masks/disc 0.png"))
    assert set(np.unique(mask)) == {0, 255} and ((mask == 255) == metrics.to_mask(ramp(), 0.25)).all()
    rows = list(csv.DictReader(io.StringIO(archive.read("scores.csv").decode("utf-8-sig"))))
    assert [row["file"] for row in rows] == names
    assert float(rows[0]["foreground_share"]) == pytest.approx((mask == 255).mean(), abs=1e-6)
    assert float(rows[0]["truth_dice"]) == pytest.approx(0.8, abs=0.01)
    assert rows[0]["pseudo_label_dice"] == "" and rows[0]["mean_uncertainty"] == ""
    image_id = image_ids(dashboard, discs.id)[0]
    dashboard.files.write(stored.uncertainty_key(set_id, image_id), codec.encode_png(ramp()))
    answer = served.ask(urls.masks_zip("prediction_set", set_id, probabilities=True))
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert (codec.decode_png(archive.read("uncertainty/disc 0.png")) == ramp()).all()
    assert "uncertainty/disc 1.png" not in archive.namelist()


def test_rounds_and_uncertainty_come_whole_and_smaller(dashboard, discs, served):
    run_id, set_id = add_predictions(dashboard, discs)
    image_id = image_ids(dashboard, discs.id)[0]
    addresses = {
        urls.round_label: (stored.round_label_key, (run_id, 2, image_id)),
        urls.round_mask: (stored.round_mask_key, (run_id, 2, image_id)),
        urls.round_label_classes: (stored.round_label_classes_key, (run_id, 2, image_id)),
        urls.round_mask_classes: (stored.round_mask_classes_key, (run_id, 2, image_id)),
        urls.uncertainty: (stored.uncertainty_key, (set_id, image_id)),
    }
    for level, (key, ids) in enumerate(addresses.values()):
        dashboard.files.write(key(*ids), codec.encode_png(np.full((SIZE_PX, SIZE_PX), level, np.uint8)))
    for level, (address, (_, ids)) in enumerate(addresses.items()):
        whole, small = served.ask(address(*ids)), served.ask(address(*ids, 192))
        assert (whole.status, small.status) == (200, 200)
        assert (pixels(whole) == level).all() and pixels(small).shape == (192, 192)
        assert "no-cache" in whole.headers["cache-control"]  # a resumed run repeats a round
        assert served.ask(address(*ids), sec_fetch_site="cross-site").status == 403


def test_a_zip_leaves_out_a_mask_whose_file_is_gone(dashboard, discs, served):
    label_set_id = add_labels(dashboard, discs)
    dashboard.files.delete(stored.label_key(label_set_id, image_ids(dashboard, discs.id)[1]))
    archive = zipfile.ZipFile(io.BytesIO(served.ask(urls.masks_zip("label_set", label_set_id)).body))
    assert set(archive.namelist()) == {"scores.csv", "masks/disc 0.png", "masks/disc 2.png"}


def test_tables_and_the_model_come_as_files(dashboard, discs, served):
    run_id, set_id = add_predictions(dashboard, discs)
    table = list(csv.reader(io.StringIO(served.ask(urls.metrics_csv(run_id)).body.decode("utf-8-sig"))))
    assert table == [["epoch", "loss", "val_dice"], ["1", "0.5", "0.25"], ["2", "0.25", ""]]
    assert served.ask(urls.scores_csv("prediction_set", set_id)).body.count(b"\n") == 4
    assert b"disc 1.png,taken," in served.ask(urls.import_report_csv(discs.id)).body
    assert served.ask(urls.model(run_id)).status == 404
    dashboard.files.write(stored.best_model_key(run_id), b"weights")
    model = served.ask(urls.model(run_id))
    assert model.body == b"weights" and "attachment" in model.headers["content-disposition"]


def test_text_that_a_spreadsheet_would_run_is_made_plain(dashboard, served):
    with dashboard.database.writing() as session:
        dataset = datasets.create(session, "odd")
        entry = {"name": '=HYPERLINK("x")', "taken": False, "reason": "no picture"}
        datasets.add_images(session, dataset.id, new_id(), [], [entry])
    assert b"'=HYPERLINK" in served.ask(urls.import_report_csv(dataset.id)).body


def test_rows_that_are_deleted_take_their_pictures_out_of_reach(dashboard, discs, served):
    image_id = image_ids(dashboard, discs.id)[0]
    label_set_id = add_labels(dashboard, discs)
    assert served.ask(urls.truth(discs.id, image_id)).status == 200
    with dashboard.database.writing() as session:
        session.execute(delete(Label))
        session.execute(delete(LabelSet))
        session.execute(delete(Run))
        session.execute(delete(Dataset))
    assert served.ask(urls.truth(discs.id, image_id)).status == 404
    assert served.ask(urls.masks_zip("label_set", label_set_id)).status == 404


def test_the_chart_library_comes_from_the_installed_package(served):
    answer = served.ask(urls.plotly())
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert b"window.Plotly" in answer.body
