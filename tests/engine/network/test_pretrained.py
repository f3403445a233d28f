"""The pretrained weights of an installation: added once, used first, refused once they are damaged or gone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from dashboard.facts.cost import encoder_weights
from engine.core.network_parameters import ModelParams
from engine.core.run_config import RunConfig
from engine.labelling.strokes.backbones import backbone_of, weights_of
from engine.network import pretrained
from engine.network.backbone import add_pretrained
from engine.network.encoder_weights import EncoderWeightsError, load_encoder_weights
from engine.network.networks import network
from engine.store import keys as stored
from engine.training.compiled import pretrained_weights

ENCODER = ModelParams(architecture="mobilenet_v2", encoder_weights="imagenet", image_size=32)


@pytest.fixture
def here(installation, monkeypatch):
    """The installation as the one of this process."""
    monkeypatch.setattr("engine.store.opening.settings", lambda: installation.settings)
    monkeypatch.setenv("KERAS_HOME", str(installation.settings.data_root / "no-keras"))
    return installation


def test_an_answer_of_no_is_remembered_and_weights_added_later_replace_it(here):
    files = here.files
    assert not pretrained.declined(files) and pretrained.installed(files) is None
    assert pretrained.default_preset(files) == "fast"
    pretrained.decline(files)
    assert pretrained.declined(files) and pretrained.default_preset(files) == "fast"
    files.write(stored.encoder_weights_key(), b"weights")
    pretrained.remember(files, pretrained.Pretrained("ours.h5", "ab", 7, "cd"))
    assert pretrained.installed(files).origin == "ours.h5, SHA-256 ab" and not pretrained.declined(files)
    assert pretrained.default_preset(files) == "encoder"
    assert pretrained.default_preset(files, label_free=True) == "from_labels"
    files.delete(stored.encoder_weights_key())
    assert pretrained.installed(files) is None, "what has vanished is offered again"


def test_strokes_use_the_network_of_an_earlier_version_until_there_is_a_new_one(here):
    assert backbone_of("") is None
    for key in (stored.older_backbone_key(), stored.backbone_key()):
        here.files.write(key, b"network")
        assert backbone_of("") == here.files.path(key)


@pytest.mark.parametrize(
    "record", ["", "[]", "null", '{"sha256": 5}', '{"sha256": "ab"}', '{"file": "a", "sha256": "b", "bytes": "c"}']
)
def test_a_damaged_record_is_as_if_nobody_had_answered(here, record):
    here.files.write(stored.encoder_weights_key(), b"weights")
    here.files.write(stored.pretrained_record_key(), record.encode())
    assert pretrained.installed(here.files) is pretrained.installed_here() is None
    assert not pretrained.declined(here.files) and pretrained.default_preset(here.files) == "fast"


def test_a_run_names_the_file_that_was_added_unless_it_is_of_imagenet(here):
    config = RunConfig(model=ENCODER)
    assert pretrained_weights(config) == "ImageNet", "as Keras downloads them"
    here.files.write(stored.encoder_weights_key(), b"weights")
    for file, name in (("cells.h5", "cells.h5"), (pretrained.KERAS_FILE, "ImageNet"), ("IMAGENET.h5", "ImageNet")):
        pretrained.remember(here.files, pretrained.Pretrained(file, "ab", 7, "cd"))
        assert pretrained_weights(config) == name
        named = "MobileNetV2 with ImageNet weights" if name == "ImageNet" else "MobileNetV2 with cells.h5"
        assert weights_of({}, {"backbone": "ab"}) == named
        assert ("ImageNet" in encoder_weights(ENCODER)[0]) == (name == "ImageNet")


@pytest.mark.slow
def test_imagenet_is_the_file_that_was_added_and_a_damaged_one_is_refused(here, tmp_path, monkeypatch):
    keras.utils.set_random_seed(3)
    source = keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=None)
    source.save_weights(tmp_path / "encoder.weights.h5")
    added = add_pretrained(str(tmp_path / "encoder.weights.h5"), here.files)
    assert pretrained.weights_origin(ENCODER) == f"encoder.weights.h5, SHA-256 {added.sha256}"
    model = network(ENCODER)
    load_encoder_weights(model, "imagenet")
    np.testing.assert_array_equal(model.get_layer("Conv1").get_weights()[0], source.get_layer("Conv1").get_weights()[0])
    here.files.write(stored.encoder_weights_key(), b"damaged")
    with pytest.raises(EncoderWeightsError, match="have changed since they were added"):
        load_encoder_weights(network(ENCODER), "imagenet")
    here.files.delete(stored.encoder_weights_key())

    def offline(*arguments, **options):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(EncoderWeightsError, match=r"could not be downloaded: URL fetch failure\. .*weights add"):
        load_encoder_weights(network(ENCODER), "imagenet")
