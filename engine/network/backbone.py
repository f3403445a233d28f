"""MobileNetV2 as an ONNX file that describes images: pretrained activations, which run without TensorFlow.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
doi:10.1109/CVPR.2018.00474.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import keras

from engine.network import pretrained
from engine.network.conversion import save_onnx
from engine.network.encoder_weights import pretrained_encoder
from engine.store import keys as stored
from engine.store.base import Store

LAYERS = ("block_2_add", "block_5_add", "block_12_add")
"""The outputs of the file: 24, 32 and 96 channels at a quarter, an eighth and a sixteenth of the size of the image."""


def add_pretrained(weights: str, files: Store) -> pretrained.Pretrained:
    """Store the weights of a file, or "imagenet" as Keras downloads them, for trainings and for strokes.

    Raises:
        EncoderWeightsError: the file is missing or holds other weights, or the download failed.
        ConversionError: a layer has no counterpart in ONNX.
    """
    encoder = pretrained_encoder(weights, installed=False)
    path = pretrained.keras_path() if weights == pretrained.IMAGENET else Path(weights).expanduser()
    with tempfile.TemporaryDirectory() as folder:
        network, weights_file = Path(folder) / "encoder.onnx", Path(folder) / "encoder.weights.h5"
        _save(encoder, path.name, network)
        encoder.save_weights(weights_file)
        kept = pretrained.sha256_of(weights_file)
        added = pretrained.Pretrained(path.name, pretrained.sha256_of(path), path.stat().st_size, kept)
        # Nothing slow from here on: another file that is added at the same time would be mixed up with this one
        for key, source in ((stored.backbone_key(), network), (stored.encoder_weights_key(), weights_file)):
            with files.writing(key) as target:
                shutil.copyfile(source, target)
        pretrained.remember(files, added)
    files.delete(stored.older_backbone_key())
    return added


def save_backbone(weights: str, path: Path) -> None:
    """Write the ONNX file of MobileNetV2 with "imagenet" weights or those of a file.

    It maps `image`, float32 (B, H, W, 3) from 0 to 255 and of any size, to the activations of LAYERS.

    Raises:
        EncoderWeightsError: the file is missing or holds other weights, or the download failed.
        ConversionError: a layer has no counterpart in ONNX.
    """
    _save(pretrained_encoder(weights), Path(weights).name, path)


def _save(pretrained_network: keras.Model, name: str, path: Path) -> None:
    encoder = keras.applications.MobileNetV2(input_shape=(None, None, 3), include_top=False, weights=None)
    encoder.set_weights(pretrained_network.get_weights())
    activations = keras.Model(encoder.inputs[0], [encoder.get_layer(layer).output for layer in LAYERS])
    image = keras.Input((None, None, 3))
    outputs = activations(keras.layers.Rescaling(1 / 127.5, -1)(image))  # as when the weights were trained
    save_onnx(keras.Model(image, outputs), path, {"weights": name}, LAYERS)
