"""A run's model as an ONNX file, with what the run is and how to feed it in its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.exports.base import ModelFormat
from engine.exports.run_facts import RunFacts, framing_sentence


def convert(model: Any, folder: Path, facts: RunFacts) -> tuple[Path, Callable[[np.ndarray], np.ndarray]]:
    from engine.network import conversion  # TensorFlow: only where a model is exported

    file = folder / "model.onnx"
    notes = {
        "run": facts.name,
        "input": "RGB, 0 to 255, float32 (batch, height, width, 3)",
        "framing": framing_sentence(facts),
        "scores": json.dumps([[score.name, score.value, score.on] for score in facts.scores], ensure_ascii=False),
        "threshold": "0.5",
    }
    conversion.save_onnx(model, file, notes)
    return file, partial(conversion.onnx_answer, file)


FORMAT = ModelFormat(
    name="onnx",
    title="Model as ONNX (zip)",
    sentence="For ONNX Runtime and others, compared with the Keras model, with a model card and an example that runs.",
    order=80,
    convert=convert,
    contents="`model.onnx`, opset 17, with the input `image` and the output `probability`",
    packages="onnxruntime",
    imports="import onnxruntime",
    load='model = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
    predict='model.run(["probability"], {"image": batch})[0]',
)
