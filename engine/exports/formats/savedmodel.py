"""A run's model as a TensorFlow SavedModel."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from engine.exports.base import ModelFormat, Network
from engine.exports.run_facts import RunFacts


def convert(model: Any, path: Path, facts: RunFacts) -> Network:
    from engine.network import conversion  # TensorFlow: only where a model is exported

    conversion.save_savedmodel(model, path)
    return partial(conversion.savedmodel_answer, path)


FORMAT = ModelFormat(
    name="savedmodel",
    title="Model as SavedModel (zip)",
    sentence="For TensorFlow and TensorFlow Serving, with a model card and an example that runs.",
    order=70,
    file="model",
    convert=convert,
    contents="`model/`, a TensorFlow SavedModel with the endpoint `serve`",
    packages="tensorflow",
    imports="import tensorflow as tf",
    load='model = tf.saved_model.load("model")',
    predict="model.serve(batch).numpy()",
)
