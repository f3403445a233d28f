"""MobileNetV2 as an ONNX file that describes images: pretrained activations, which run without TensorFlow.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
doi:10.1109/CVPR.2018.00474.
"""

from __future__ import annotations

from pathlib import Path

import keras

from engine.network.conversion import save_onnx
from engine.network.encoder_weights import pretrained_encoder

LAYERS = ("block_2_add", "block_5_add", "block_12_add")
"""The outputs of the file: 24, 32 and 96 channels at a quarter, an eighth and a sixteenth of the size of the image."""


def save_backbone(weights: str, path: Path) -> None:
    """Write the ONNX file of MobileNetV2 with "imagenet" weights (downloaded once by Keras) or those of a file.

    It maps `image`, float32 (B, H, W, 3) from 0 to 255 and of any size, to the activations of LAYERS.

    Raises:
        EncoderWeightsError: the file is missing or holds other weights, or the download failed.
        ConversionError: a layer has no counterpart in ONNX.
    """
    encoder = keras.applications.MobileNetV2(input_shape=(None, None, 3), include_top=False, weights=None)
    encoder.set_weights(pretrained_encoder(weights).get_weights())
    activations = keras.Model(encoder.inputs[0], [encoder.get_layer(name).output for name in LAYERS])
    image = keras.Input((None, None, 3))
    outputs = activations(keras.layers.Rescaling(1 / 127.5, -1)(image))  # as when the weights were trained
    save_onnx(keras.Model(image, outputs), path, {"weights": Path(weights).name}, LAYERS)
