"""The network: shapes, size, and a stored model that needs no code of ours."""

import json
import subprocess
import sys
import zipfile
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine.core.network_parameters import ARCHITECTURE_TITLES, ModelParams
from engine.core.run_config import PRESETS
from engine.network.architectures import architectures
from engine.network.encoder_weights import EncoderWeightsError, load_encoder_weights
from engine.network.networks import network
from engine.network.normalization import FusedBatchNormalization
from engine.network.softmax import PlanarActivation
from engine.training.compiled import FAST_LAYERS
from tests.support.shared_data import SHARED_WEIGHTS

WEIGHTS = SHARED_WEIGHTS / "mobilenet_v2_imagenet_notop.weights.h5"
ENCODER = {"architecture": "mobilenet_v2", "image_size": 64}


def small(**changes):
    return ModelParams(**({"image_size": 32, "depth": 2, "base_filters": 4} | changes))


def test_every_architecture_can_be_chosen_and_has_a_title():
    choices = get_args(ModelParams.model_fields["architecture"].annotation)
    assert set(architectures()) == set(choices) == set(ARCHITECTURE_TITLES)


@pytest.mark.parametrize("architecture", ["unet", "residual", "attention"])
@pytest.mark.parametrize("first_stride", [1, 2, 4])
@pytest.mark.parametrize("batch_normalization", [True, False])
def test_an_image_becomes_a_probability_of_its_size(architecture, first_stride, batch_normalization):
    changes = {"first_stride": first_stride, "batch_normalization": batch_normalization}
    model = network(small(architecture=architecture, dropout=0.5, **changes))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    probability = np.asarray(model(images))
    assert probability.shape == (2, 32, 32, 1)
    assert probability.dtype == np.float32
    assert probability.min() >= 0
    assert probability.max() <= 1
    assert probability.std() > 0


def test_the_presets_have_the_sizes_they_promise():
    assert 1.5e6 < network(PRESETS["fast"].model).count_params() < 2.5e6
    classic = network(PRESETS["classic"].model)
    assert 30e6 < classic.count_params() < 32e6
    filters = [layer.filters for layer in classic.layers if isinstance(layer, keras.layers.Conv2D)]
    assert filters[:10] == [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in classic.layers)


def test_the_classic_network_ends_in_a_plain_convolution_and_a_sigmoid():
    before, head, probability = network(PRESETS["classic"].model).layers[-3:]
    assert isinstance(before, keras.layers.ReLU)
    assert isinstance(head, keras.layers.Conv2D)
    assert (head.filters, head.kernel_size, head.strides) == (1, (1, 1), (1, 1))
    assert isinstance(probability, keras.layers.Activation)
    assert probability.activation is keras.activations.sigmoid
    kernel, bias = head.get_weights()
    assert bias == 0
    assert np.abs(kernel).max() <= np.sqrt(6 / (64 + 1))  # Glorot's limit: no scale, no prior
    assert np.abs(kernel).max() > 0.8 * np.sqrt(6 / (64 + 1))


def test_our_own_networks_start_from_background():
    image = np.full((1, 32, 32, 3), 127.5, np.float32)  # 0 after rescaling, so that only the head's prior speaks
    ours = network(small(first_stride=2, batch_normalization=True))
    assert np.asarray(ours(image)) == pytest.approx(1 / (1 + np.exp(2)), abs=1e-3)
    assert np.asarray(network(small(first_stride=1, batch_normalization=False))(image)) == pytest.approx(0.5)


def test_the_seed_decides_the_weights():
    first, again, other = (network(small(), seed).get_weights()[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_stored_model_names_only_layers_of_keras(tmp_path):
    path = tmp_path / "model.keras"
    network(small()).save(path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    modules = {layer["module"] for layer in config["config"]["layers"]}
    assert modules == {"keras.layers"}
    assert "Lambda" not in {layer["class_name"] for layer in config["config"]["layers"]}


STORED = {
    "classic": {"first_stride": 1, "batch_normalization": False},
    "fast": {},
    "residual": {"architecture": "residual", "first_stride": 4, "depth": 1},
    "attention": {"architecture": "attention"},
    "encoder": {"architecture": "mobilenet_v2"},
}
LOADED = """
import sys, keras, numpy as np
for name in sys.argv[1:]:
    model = keras.saving.load_model(f'{name}.keras', compile=False, safe_mode=True)
    answer = np.asarray(model(np.full((1, 32, 32, 3), 100, np.float32)))
    assert np.allclose(answer, np.load(f'{name}.npy'), atol=1e-5), name
assert 'engine' not in sys.modules
"""


@pytest.mark.slow
def test_stored_models_load_and_predict_without_our_code(tmp_path):
    image = np.full((1, 32, 32, 3), 100, np.float32)
    for name, changes in STORED.items():
        model = network(small(**changes))
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", np.asarray(model(image)))
    done = subprocess.run([sys.executable, "-c", LOADED, *STORED], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("training", [True, False])
def test_fused_normalisation_is_the_same_mathematics(training):
    x = np.random.default_rng(0).normal(3, 2, (4, 8, 8, 5)).astype(np.float32)
    plain, fused = keras.layers.BatchNormalization(momentum=0.9), FusedBatchNormalization(momentum=0.9)
    answers = [np.asarray(layer(x, training=training)) for layer in (plain, fused)]
    np.testing.assert_allclose(*answers, atol=1e-4)
    # Moving variances may differ by n / (n - 1): the fused operation takes the unbiased one
    for expected, found in zip(plain.get_weights(), fused.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-2)


def test_planar_softmax_is_the_same_mathematics():
    rng = np.random.default_rng(0)
    logits, upstream = (rng.normal(0, 20, (2, 4, 6, 3)).astype(np.float32) for _ in range(2))
    answers = []
    for layer in (keras.layers.Activation("softmax"), PlanarActivation("softmax")):
        with tf.GradientTape() as tape:
            variable = tf.Variable(logits)
            shares = layer(variable)
        answers.append((shares, tape.gradient(shares, variable, upstream)))
    for expected, found in zip(*answers, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", architectures())
def test_weights_travel_from_the_training_network_to_the_stored_one(architecture):
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    for dtype in ("float32", "mixed_bfloat16"):
        training = network(small(architecture=architecture), 3, dtype, FAST_LAYERS)
        plain = network(small(architecture=architecture))
        plain.set_weights(training.get_weights())
        assert [each.path for each in plain.weights] == [each.path for each in training.weights]
        if dtype == "float32":  # half precision rounds by itself, and would hide two weights that changed places
            np.testing.assert_allclose(np.asarray(training(images)), np.asarray(plain(images)), atol=1e-5)


def test_depth_to_space_lays_each_places_answers_side_by_side():
    model = network(small(first_stride=2))
    split, join = model.get_layer("head_split"), model.get_layer("head_join")
    inner = keras.Model(split.input, join.output)
    values = np.arange(16 * 16 * 4, dtype=np.float32).reshape(1, 16, 16, 4)
    laid = np.asarray(inner(values))[0, ..., 0]
    assert laid.shape == (32, 32)
    np.testing.assert_array_equal(laid[2:4, 6:8], values[0, 1, 3].reshape(2, 2))


def test_an_attention_gate_scales_each_place_between_nothing_and_all():
    model = network(small(architecture="attention"))
    weigh = model.get_layer("up0_attention_weigh")
    inner = keras.Model(model.input, [weigh.input[0], weigh.output])
    skip, weighed = inner(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32))
    assert (np.abs(weighed) <= np.abs(skip)).all()
    assert not np.allclose(weighed, skip)


@pytest.mark.shared
@pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights are not on this machine")
def test_the_encoder_starts_from_a_weights_file_and_keeps_its_normalisation():
    model = network(ModelParams(**ENCODER, encoder_weights=str(WEIGHTS)), 0, "float32", FAST_LAYERS)
    load_encoder_weights(model, str(WEIGHTS))
    source = keras.applications.MobileNetV2(input_shape=(64, 64, 3), include_top=False, weights=None)
    source.load_weights(WEIGHTS)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    ours = keras.Model(model.input, model.get_layer("block_16_project_BN").output)
    theirs = keras.Model(source.input, source.get_layer("block_16_project_BN").output)
    expected = np.asarray(theirs(images / 127.5 - 1))
    np.testing.assert_allclose(np.asarray(ours(images, training=True)), expected, atol=1e-3)
    assert not any("BN" in weight.path for weight in model.trainable_variables)


def test_an_encoder_without_weights_learns_its_normalisation():
    model = network(ModelParams(**ENCODER))
    assert any("block_1_expand_BN" in weight.path for weight in model.trainable_variables)


def test_wrong_weights_are_named(tmp_path):
    model = network(ModelParams(**ENCODER))
    with pytest.raises(EncoderWeightsError, match=r"no weights file 'nowhere\.h5'"):
        load_encoder_weights(model, "nowhere.h5")
    (tmp_path / "bad.weights.h5").write_bytes(b"nothing")
    with pytest.raises(EncoderWeightsError, match=r"bad\.weights\.h5 do not fit MobileNetV2"):
        load_encoder_weights(model, str(tmp_path / "bad.weights.h5"))
