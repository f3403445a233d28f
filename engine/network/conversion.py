"""Conversion of a stored network to formats that other software runs.

A stored network has plain Keras layers in float32, whatever precision it was trained in, so that every format computes
the same. All of them map images (B, S, S, 3), float32 from 0 to 255, to probabilities (B, S, S, N): N is 1, that of
foreground, or K + 1, those of background and of each of K > 1 classes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf

from engine.network.stored_files import check_model_file

OPSET = 17
"""Supported since ONNX Runtime 1.12 (2022); our networks need no later one."""

INPUT, OUTPUT = "image", "probability"
LARGEST_DIFFERENCE = 1e-3
"""Allowed difference of a probability: a quarter of a step of 1/255. About 1e-6 was measured."""


class ConversionError(ValueError):
    """The network could not be converted. The message is a sentence the user can act on."""


def save_savedmodel(model: keras.Model, folder: Path) -> None:
    """Write a SavedModel; its endpoint `serve` takes a batch of any length."""
    model.export(folder, format="tf_saved_model", verbose=False)


def save_onnx(model: keras.Model, path: Path, notes: Mapping[str, str], outputs: Sequence[str] = (OUTPUT,)) -> None:
    """Write an ONNX file with the input `image`, the model's outputs by name, and `notes` as its metadata.

    Raises:
        ConversionError: a layer has no counterpart.
    """
    import tf2onnx  # slow to load, and nothing else needs it

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = (tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name=INPUT),)

    @tf.function(input_signature=signature)
    def network(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(outputs, keras.tree.flatten(model(image, training=False)), strict=True))

    try:
        graph, _ = tf2onnx.convert.from_function(network, input_signature=signature, opset=OPSET)
    except Exception as error:  # the converter raises anything for a layer that it does not support
        reason = str(error).partition("\n")[0][:200]
        raise ConversionError(f"This network cannot be written as ONNX: {reason}") from error
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(graph, dict(notes))
    onnx.checker.check_model(graph)
    onnx.save_model(graph, str(path))


def keras_answer(model: keras.Model, squares: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (B, S, S, 1), of images uint8 (B, S, S, 3)."""
    return model(tf.cast(squares, tf.float32), training=False).numpy()


def keras_file_answer(path: Path, squares: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (B, S, S, N), that a .keras file computes for images uint8 (B, S, S, 3)."""
    check_model_file(path)
    return keras_answer(keras.saving.load_model(path, compile=False, safe_mode=True), squares)


def onnx_answer(path: Path, squares: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (B, S, S, N), that an ONNX file computes for images uint8 (B, S, S, 3)."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: squares.astype(np.float32)})[0]


def savedmodel_answer(folder: Path, squares: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (B, S, S, N), that a SavedModel computes for images uint8 (B, S, S, 3)."""
    loaded = tf.saved_model.load(str(folder))  # referenced here, because `serve` holds its weights only weakly
    return loaded.serve(tf.cast(squares, tf.float32)).numpy()


def checked_difference(converted: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference between two predictions.

    Raises:
        ConversionError: it is too large or NaN.
    """
    difference = float(np.abs(converted - expected).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise ConversionError(
            f"The converted network differs from the Keras model by up to {difference:.2g} in a probability "
            f"(at most {LARGEST_DIFFERENCE:g} is allowed), so it is not exported. Use the .keras file instead."
        )
    return difference
