"""A network in other formats says what the Keras model says, on real pictures, whatever its architecture."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from skimage import data

from engine.core.network_parameters import ModelParams
from engine.imaging import codec
from engine.network import conversion
from engine.network.networks import network
from tests.support.shared_data import SHARED_DATA

SIDE = 64
NETWORKS = {
    "fast": ModelParams(image_size=SIDE, depth=2, base_filters=4),
    "classic": ModelParams(
        image_size=SIDE, depth=2, base_filters=4, first_stride=1, batch_normalization=False, dropout=0.5
    ),
    "residual": ModelParams(architecture="residual", image_size=SIDE, depth=2, base_filters=4),
    "attention": ModelParams(architecture="attention", image_size=SIDE, depth=2, base_filters=4, first_stride=4),
    "mobilenet_v2": ModelParams(architecture="mobilenet_v2", image_size=SIDE),
}


def squares():
    files = sorted((SHARED_DATA / "ecssd" / "images").glob("*.*"))[:3]
    images = [codec.decode_image(file.read_bytes()) for file in files] or [data.astronaut(), data.coffee()]
    return np.stack([codec.resize_image(image, (SIDE, SIDE)) for image in images])


def trained(params):
    """Return a network whose normalisation has statistics that are not its first ones."""
    model = network(params, seed=1)
    rng = np.random.default_rng(0)
    model.set_weights(
        [weight + rng.normal(0, 0.02, weight.shape) * (weight.ndim > 0) for weight in model.get_weights()]
    )
    for layer in model.layers:
        if layer.name.endswith(("_norm", "BN")):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta, mean, np.abs(variance) + 0.5])
    return model


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "mobilenet_v2" else ()) for name in NETWORKS]
)
def test_onnx_agrees_with_keras_on_real_images(name, tmp_path: Path):
    model, path = trained(NETWORKS[name]), tmp_path / "model.onnx"
    wanted = conversion.keras_answer(model, squares())
    conversion.save_onnx(model, path, {"run": "ä run"})
    said = conversion.onnx_answer(path, squares())
    assert said.shape == wanted.shape == (len(squares()), SIDE, SIDE, 1) and wanted.std() > 0
    assert conversion.checked_difference(said, wanted) < 1e-4
    assert np.abs(conversion.onnx_answer(path, squares()[:1]) - wanted[:1]).max() < 1e-4  # a batch of another length
    stored = onnx.load(path)
    assert {entry.key: entry.value for entry in stored.metadata_props}["run"] == "ä run"
    assert [node.domain for node in stored.graph.node if node.domain not in ("", "ai.onnx")] == []


@pytest.mark.parametrize("name", ["fast", "attention"])
def test_a_savedmodel_agrees_with_keras(name, tmp_path: Path):
    model = trained(NETWORKS[name])
    conversion.save_savedmodel(model, tmp_path / "model")
    said = conversion.savedmodel_answer(tmp_path / "model", squares())
    assert conversion.checked_difference(said, conversion.keras_answer(model, squares())) < 1e-5


def test_a_converted_network_with_another_prediction_is_refused():
    right = np.zeros((1, 2, 2, 1), np.float32)
    for wrong in (right + 0.01, right * np.nan):
        with pytest.raises(conversion.ConversionError, match="is not exported"):
            conversion.checked_difference(wrong, right)
