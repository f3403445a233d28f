"""A run's model as an ONNX file, with what the run is and how to feed it in its metadata."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from engine.exports.base import ModelFormat, Network
from engine.exports.run_facts import RunFacts, framing_sentence


def convert(model: Any, path: Path, facts: RunFacts) -> Network:
    from engine.network import conversion  # TensorFlow: only where a model is exported

    notes = {
        "run": facts.name,
        "input": "RGB, 0 to 255, float32 (batch, height, width, 3)",
        "framing": framing_sentence(facts),
        "scores": json.dumps([[score.name, score.value, score.on] for score in facts.scores], ensure_ascii=False),
        "threshold": "0.5",
    }
    if facts.classes:
        notes["classes"] = json.dumps(facts.classes, ensure_ascii=False)
    conversion.save_onnx(model, path, notes)
    return partial(conversion.onnx_answer, path)


FORMAT = ModelFormat(
    name="onnx",
    title="Model as ONNX (zip)",
    sentence="For ONNX Runtime and others, compared with the Keras model, with a model card and an example that runs.",
    order=80,
    file="model.onnx",
    convert=convert,
    contents="`model.onnx`, opset 17, with the input `image` and the output `probability`",
    packages="onnxruntime",
    imports="import onnxruntime",
    load='model = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
    predict='model.run(["probability"], {"image": batch})[0]',
)
