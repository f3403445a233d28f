"""A run's model as a TensorFlow SavedModel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.exports.base import ModelFormat
from engine.exports.run_facts import RunFacts


def convert(model: Any, folder: Path, facts: RunFacts) -> tuple[Path, Callable[[np.ndarray], np.ndarray]]:
    from engine.network import conversion  # TensorFlow: only where a model is exported

    file = folder / "model"
    conversion.save_savedmodel(model, file)
    return file, partial(conversion.savedmodel_answer, file)


FORMAT = ModelFormat(
    name="savedmodel",
    title="Model as SavedModel (zip)",
    sentence="For TensorFlow and TensorFlow Serving, with a model card and an example that runs.",
    order=70,
    convert=convert,
    contents="`model/`, a TensorFlow SavedModel with the endpoint `serve`",
    packages="tensorflow",
    imports="import tensorflow as tf",
    load='model = tf.saved_model.load("model")',
    predict="model.serve(batch).numpy()",
)
