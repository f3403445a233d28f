"""Packed models on a real database, each with the example that comes with it, run as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from skimage import data

from db import submissions
from db.models import Run
from engine.core.network_parameters import ModelParams
from engine.core.run_config import RunConfig
from engine.core.run_parameters import DataParams
from engine.exports import job as export
from engine.imaging import class_maps, codec, metrics
from engine.network.inference import predict_many
from engine.network.networks import network
from engine.store import keys as stored
from tests.support.class_runs import add_class_run, add_classes
from tests.support.installation import add_discs
from tests.support.predicted import add_run
from tests.support.shared_data import SHARED_DATA
from tests.support.training_job import Context

SIDE = 64


@pytest.fixture
def dataset(installation):
    return add_discs(installation, 6)


def submit(installation, owner, owner_id, what, threshold=None):
    with installation.database.writing() as session:
        job = submissions.submit_export(session, owner, owner_id, what, threshold)
        job.attempt = 1
    return job


def add_model(installation, run, data_params=None, scale=6.0, classes=1):
    """Give a run a model whose answers follow the picture's colours, so that its masks are not trivial."""
    params = ModelParams(image_size=SIDE, depth=1, base_filters=4, classes=classes)
    model = network(params)
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    head.set_weights([kernel * scale, bias * (classes == 1)])
    with installation.files.writing(stored.best_model_key(run.id)) as beside:
        model.save(beside)
    config = RunConfig(model=params, data=data_params or DataParams())
    with installation.database.writing() as session:
        session.get_one(Run, run.id).config = config.model_dump(mode="json")
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "framing"),
    [
        ("onnx", {"framing": "pad"}),
        ("onnx", {"framing": "stretch"}),
        ("onnx", {"framing": "crop"}),
        ("onnx", {"framing": "tiles", "tile_scale": 0.5}),
        ("keras", {"framing": "pad"}),
        ("savedmodel", {"framing": "tiles", "tile_scale": 0.5}),
    ],
)
def test_a_packed_model_comes_with_an_example_that_draws_the_mask_we_draw(
    installation, dataset, tmp_path, kind, framing
):
    run = add_run(installation, dataset, "a run")
    params = DataParams(**framing)
    model = add_model(installation, run, params)
    result = export.run(submit(installation, "run", run.id, kind), Context(installation))
    assert result["difference"] < 1e-4
    with zipfile.ZipFile(installation.files.path(result["key"])) as archive:
        archive.extractall(tmp_path)
    assert "learned from the truth masks" in (tmp_path / "MODEL_CARD.md").read_text()
    picture = real_picture()
    (tmp_path / "picture.png").write_bytes(codec.encode_png(picture))
    command = [sys.executable, "example.py", "picture.png", "mask.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    (ours,) = predict_many(model, [picture], params)
    assert mask.shape == picture.shape[:2] and set(np.unique(mask)) == {0, 255}
    wanted = ours.probability >= 0.5
    assert 0.02 < wanted.mean() < 0.98
    assert ((mask == 255) == wanted).mean() > 0.999


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "framing"),
    [
        ("onnx", {"framing": "pad"}),
        ("onnx", {"framing": "stretch"}),
        ("keras", {"framing": "crop"}),
        ("savedmodel", {"framing": "tiles", "tile_scale": 0.5}),
    ],
)
def test_a_packed_model_of_three_classes_draws_the_class_map_we_draw(installation, tmp_path, kind, framing):
    dataset = add_classes(installation)
    run, _ = add_class_run(installation, dataset)
    params = DataParams(**framing)
    model = add_model(installation, run, params, classes=3)
    result = export.run(submit(installation, "run", run.id, kind), Context(installation))
    assert result["difference"] < 1e-4
    with zipfile.ZipFile(installation.files.path(result["key"])) as archive:
        archive.extractall(tmp_path)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "Their order: 0 background, 1 egg, 2 =pan, 3 cup." in card and "tells 3 classes and background apart" in card
    picture = real_picture()
    (tmp_path / "picture.png").write_bytes(codec.encode_png(picture))
    command = [sys.executable, "example.py", "picture.png", "map.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_UNCHANGED)
    (ours,) = predict_many(model, [picture], params)
    wanted = class_maps.to_classes(metrics.probability_to_u8(ours.probability), ours.classes, 0.5)
    assert found.dtype == np.uint8 and found.shape == wanted.shape
    assert (np.bincount(wanted.ravel()) > 0.002 * wanted.size).sum() >= 3
    assert (found == wanted).mean() >= 0.999


def real_picture():
    files = sorted((SHARED_DATA / "ecssd" / "images").glob("*.*"))
    return codec.decode_image(files[0].read_bytes()) if files else data.coffee()[:300, :420]
