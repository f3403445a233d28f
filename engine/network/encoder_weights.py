"""Pretrained weights for the MobileNetV2 encoder: those of this installation, those that Keras offers, or a file."""

from __future__ import annotations

from pathlib import Path

import keras

from engine.network import pretrained
from engine.network.stored_files import check_weights_file

OFFLINE = "Without a connection to the Internet, add a file of them: on the Train page, or `maskloom weights add FILE`."


class EncoderWeightsError(ValueError):
    """The pretrained weights are not available. The message is a sentence the user can act on."""


def load_encoder_weights(model: keras.Model, weights: str) -> None:
    """Load into the encoder of `model` "imagenet" or the weights of a file.

    "imagenet" are the weights that were added to this installation; without any, Keras downloads them once.

    Raises:
        EncoderWeightsError: the file is missing, damaged or holds other weights, or the download failed.
    """
    source = pretrained_encoder(weights)
    used = {layer.name for layer in model.layers}
    for layer in source.layers:
        if layer.weights and layer.name in used:  # the last convolution is for classes only
            model.get_layer(layer.name).set_weights(layer.get_weights())


def pretrained_encoder(weights: str, installed: bool = True) -> keras.Model:
    """Return MobileNetV2 without its top, for images of 224 px, with "imagenet" weights or those of a file.

    Without `installed` the weights of this installation are ignored, so that they can be replaced by a download.

    Raises:
        EncoderWeightsError: as for `load_encoder_weights`.
    """
    path = None if weights == pretrained.IMAGENET else Path(weights).expanduser()
    if path is not None and not path.is_file():
        raise EncoderWeightsError(f"There is no weights file {weights!r}. Give a path, or choose none or imagenet.")
    if path is None and installed and pretrained.installed_path().is_file():
        path = pretrained.installed_path()
        known = pretrained.installed_here()
        if known and pretrained.sha256_of(path) != known.stored_sha256:
            raise EncoderWeightsError(
                f"The pretrained weights in {path.parent} have changed since they were added: their SHA-256 is "
                "another. Add them again."
            )
    shape = (224, 224, 3)  # the size of its training images; convolutions fit any size
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
        reason = str(error).partition("\n")[0][:300]
        instead = f" {OFFLINE}" if path is None else ""
        raise EncoderWeightsError(f"The pretrained weights {where}: {reason.rstrip('.')}.{instead}") from error
    return source
