"""A stored network in the formats that other software runs.

A stored network is plain Keras layers in float32 whatever it was trained in, so what is written computes the same in
every format. All of them take images (B, S, S, 3), float32 from 0 to 255, and answer probabilities (B, S, S, 1).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf

from engine.network.stored_files import check_model_file

OPSET = 17
"""What ONNX Runtime has understood since 1.12, of 2022; nothing in our networks needs a later one."""

INPUT, OUTPUT = "image", "probability"
LARGEST_DIFFERENCE = 1e-3
"""By how much a probability may differ: a fourth of a step of 1/255. What was measured is some 1e-6."""


class ConversionError(ValueError):
    """The network could not be written in a format. The message is a sentence a person can act on."""


def save_keras(model: keras.Model, path: Path) -> None:
    """Write a .keras file of weights and layers, without an optimizer."""
    model.save(path)


def save_savedmodel(model: keras.Model, folder: Path) -> None:
    """Write a SavedModel; its endpoint `serve` takes a batch of any length."""
    model.export(folder, format="tf_saved_model", verbose=False)


def save_onnx(model: keras.Model, path: Path, notes: Mapping[str, str]) -> None:
    """Write an ONNX file with the input `image`, the output `probability` and `notes` as its metadata.

    Raises:
        ConversionError: a layer has no counterpart.
    """
    import tf2onnx  # slow to load, and nothing else needs it

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = (tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name=INPUT),)

    @tf.function(input_signature=signature)
    def network(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: model(image, training=False)}

    try:
        made, _ = tf2onnx.convert.from_function(network, input_signature=signature, opset=OPSET)
    except Exception as error:  # the converter raises whatever the layer it does not know leads to
        reason = str(error).partition("\n")[0][:200]
        raise ConversionError(f"This network cannot be written as ONNX: {reason}") from error
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(made, dict(notes))
    onnx.checker.check_model(made)
    onnx.save_model(made, str(path))


def keras_answer(model: keras.Model, squares: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (B, S, S, 1), of images uint8 (B, S, S, 3)."""
    return model(tf.cast(squares, tf.float32), training=False).numpy()


def keras_file_answer(path: Path, squares: np.ndarray) -> np.ndarray:
    """Return what a .keras file says of images uint8 (B, S, S, 3): float32 (B, S, S, 1)."""
    check_model_file(path)
    return keras_answer(keras.saving.load_model(path, compile=False, safe_mode=True), squares)


def onnx_answer(path: Path, squares: np.ndarray) -> np.ndarray:
    """Return what an ONNX file says of images uint8 (B, S, S, 3): float32 (B, S, S, 1)."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: squares.astype(np.float32)})[0]


def savedmodel_answer(folder: Path, squares: np.ndarray) -> np.ndarray:
    """Return what a SavedModel says of images uint8 (B, S, S, 3): float32 (B, S, S, 1)."""
    loaded = tf.saved_model.load(str(folder))  # kept: its endpoint holds its weights only weakly
    return loaded.serve(tf.cast(squares, tf.float32)).numpy()


def checked_difference(said: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference between two answers.

    Raises:
        ConversionError: it is too large, or no number.
    """
    apart = float(np.abs(said - wanted).max())
    if not apart <= LARGEST_DIFFERENCE:
        raise ConversionError(
            f"The converted network differs from the Keras model by up to {apart:.2g} in a probability "
            f"(at most {LARGEST_DIFFERENCE:g} is right), so it is not handed out. Take the .keras file instead."
        )
    return apart
