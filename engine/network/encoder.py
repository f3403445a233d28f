"""A U-Net whose way down is MobileNetV2, which can start from weights that were learned elsewhere.

Source of the encoder: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
doi:10.1109/CVPR.2018.00474, as Keras ships it.
"""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers

from engine.core.network_parameters import ModelParams
from engine.network.blocks import Blocks
from engine.network.stored_files import check_weights_file

SKIPS = ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")
BOTTOM = "block_16_project_BN"
FILTERS = (32, 64, 96, 128)
"""Filters of the way up, from half of the image's size to a sixteenth: few, because the encoder holds the knowledge."""


class EncoderWeightsError(ValueError):
    """The pretrained weights cannot be had. The message is a sentence a person can act on."""


def encoder_unet(params: ModelParams, blocks: Blocks) -> keras.Model:
    """Return a network from images (B, S, S, 3), values 0 to 255, to probabilities (B, S, S, 1) in [0, 1].

    The way up works at half of the image's size and the head lays the answer out at S. With pretrained weights the
    encoder's batch normalisation keeps the statistics it came with: batches of a few images are no match for them, and
    when they were let go validation collapsed. Weights are not loaded here: see `load_encoder_weights`.
    """
    image = keras.Input((params.image_size, params.image_size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype=blocks.dtype, name="rescale")(image)
    encoder = _mobilenet(x, blocks, frozen=params.encoder_weights != "none")
    x = encoder[BOTTOM]
    if params.dropout:
        x = layers.Dropout(params.dropout, seed=blocks.next_seed(), dtype=blocks.dtype, name="dropout")(x)
    for level in reversed(range(len(SKIPS))):
        x = layers.UpSampling2D(dtype=blocks.dtype, name=f"up{level}_sample")(x)
        skip = encoder[SKIPS[level]]
        x = layers.Concatenate(dtype=blocks.dtype, name=f"up{level}_join")([skip, x])
        x = blocks.once(x, FILTERS[level], f"up{level}_conv1")
        x = blocks.once(x, FILTERS[level], f"up{level}_conv2")
    return keras.Model(image, blocks.head(x, 2), name="mobilenet_v2")


def load_encoder_weights(model: keras.Model, weights: str) -> None:
    """Fill the encoder of `model` with "imagenet" (downloaded once by Keras) or the weights of a file.

    Raises:
        EncoderWeightsError: the file is missing or holds other weights, or the download failed.
    """
    path = None if weights == "imagenet" else Path(weights).expanduser()
    if path is not None and not path.is_file():
        raise EncoderWeightsError(f"There is no weights file {weights!r}. Give a path, or choose none or imagenet.")
    shape = (224, 224, 3)  # what it was learned at; the convolutions fit every size
    try:
        if path is not None:
            check_weights_file(path)
        source = keras.applications.MobileNetV2(
            input_shape=shape, include_top=False, weights="imagenet" if path is None else None
        )
        if path is not None:
            source.load_weights(path)
    except Exception as error:  # Keras raises anything from URLError to ValueError
        where = "could not be downloaded" if path is None else f"of {path.name} do not fit MobileNetV2 without its top"
        reason = str(error).partition("\n")[0][:200]
        raise EncoderWeightsError(f"The pretrained weights {where}: {reason}") from error
    used = {layer.name for layer in model.layers}
    for layer in source.layers:
        if layer.weights and layer.name in used:  # the last convolution is for classes only
            model.get_layer(layer.name).set_weights(layer.get_weights())


def _mobilenet(x: keras.KerasTensor, blocks: Blocks, frozen: bool) -> dict[str, keras.KerasTensor]:
    """Return the outputs of Keras' MobileNetV2 on `x` by layer, in the precision and with the normalisation asked for.

    With `frozen` its batch normalisation never learns.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(blocks.dtype)
    try:
        shape = tuple(x.shape[1:])
        plain = keras.applications.MobileNetV2(input_shape=shape, include_top=False, weights=None)
    finally:
        keras.config.set_dtype_policy(before)
    outputs = {plain.layers[0].name: x}
    for layer in plain.layers[1:]:
        # Layer by layer, so that the whole network is one flat list of layers
        inputs = [outputs[tensor._keras_history.operation.name] for tensor in _inputs(layer)]
        outputs[layer.name] = _anew(layer, blocks, frozen)(inputs if len(inputs) > 1 else inputs[0])
    return outputs


def _inputs(layer: keras.Layer) -> list[keras.KerasTensor]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _anew(layer: keras.Layer, blocks: Blocks, frozen: bool) -> keras.Layer:
    normalization = isinstance(layer, layers.BatchNormalization)
    copy = (blocks.normalization if normalization else type(layer)).from_config(layer.get_config())
    copy.trainable = not (normalization and frozen)
    return copy
