"""A run's model as a .keras file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from engine.exports.base import ModelFormat, Network
from engine.exports.run_facts import RunFacts


def convert(model: Any, path: Path, facts: RunFacts) -> Network:
    from engine.network import conversion  # TensorFlow: only where a model is exported

    model.save(path)
    return partial(conversion.keras_file_answer, path)


FORMAT = ModelFormat(
    name="keras",
    title="Model for Keras (zip)",
    sentence="The .keras file, a model card and an example that runs.",
    order=60,
    file="model.keras",
    convert=convert,
    contents="`model.keras` for Keras 3 (any backend that has its layers)",
    packages="tensorflow keras",
    imports="import keras",
    load='model = keras.saving.load_model("model.keras", compile=False)',
    predict="model(batch, training=False).numpy()",
)
