"""A run's model as a .keras file."""

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

    file = folder / "model.keras"
    conversion.save_keras(model, file)
    return file, partial(conversion.keras_file_answer, file)


FORMAT = ModelFormat(
    name="keras",
    title="Model for Keras (zip)",
    sentence="The .keras file, a model card and an example that runs.",
    order=60,
    convert=convert,
    contents="`model.keras` for Keras 3 (any backend that has its layers)",
    packages="tensorflow keras",
    imports="import keras",
    load='model = keras.saving.load_model("model.keras", compile=False)',
    predict="model(batch, training=False).numpy()",
)
