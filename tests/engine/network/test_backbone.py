"""The ONNX file that describes images says what MobileNetV2 with the same weights says, at any size of image."""

from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from skimage import data

from engine.labelling.strokes.features import find_features
from engine.network.backbone import LAYERS, save_backbone
from engine.network.encoder_weights import EncoderWeightsError


@pytest.mark.slow
def test_the_file_has_the_activations_of_the_weights_it_was_written_from(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    encoder = keras.applications.MobileNetV2(input_shape=(None, None, 3), include_top=False, weights=None)
    weights, path = tmp_path / "encoder.weights.h5", tmp_path / "encoder.onnx"
    encoder.save_weights(weights)
    save_backbone(str(weights), path)
    image = data.coffee()[:150, :210]
    wanted = keras.Model(encoder.inputs[0], [encoder.get_layer(name).output for name in LAYERS])(
        image[None].astype(np.float32) / 127.5 - 1, training=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    said = session.run(list(LAYERS), {"image": image[None].astype(np.float32)})
    for activation, expected in zip(said, wanted, strict=True):
        np.testing.assert_allclose(activation, np.asarray(expected), atol=1e-4)
    plain, richer = (find_features(image, 100, file, starts=()) for file in (None, path))
    assert richer.rows.shape[1] - plain.rows.shape[1] == sum(each.shape[-1] for each in said) == 152


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderWeightsError, match=r"missing\.h5"):
        save_backbone(str(tmp_path / "missing.h5"), tmp_path / "encoder.onnx")
