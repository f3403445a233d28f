"""Strokes: a classifier that learns from what people mark on a few images (`engine.labelling.strokes`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from engine.core.parameters import number
from engine.labelling.base import LabelParams, Method
from engine.labelling.strokes.backbones import NONE, backbone_of
from engine.labelling.strokes.features import Features, find_features
from engine.labelling.strokes.model import StrokeModel, predict
from engine.labelling.strokes.model import fit as fit_model

Look = tuple[bytes, np.ndarray]


class StrokesParams(LabelParams):
    longest_side_px: int = number(320, 64, 1600, LabelParams.model_fields["longest_side_px"].description, unit="px")
    superpixels: int = number(700, 100, 2000, "Number of superpixels: more of them follow small objects.", stage="look")
    unit: Literal["automatic", "superpixels", "pixels"] = Field(
        "automatic",
        description="What is classified. Thin structures need pixels; automatic decides by the width of the strokes.",
        json_schema_extra={"stage": "fit"},
    )
    backbone: str = Field(
        "",
        max_length=1000,
        pattern=r"^[^\x00-\x1f]*$",
        description="An ONNX file whose outputs describe images; empty for MobileNetV2, if this installation has it, "
        "or `none` for colour and texture alone.",
        json_schema_extra={"stage": "look"},
    )


def look(image: np.ndarray, params: StrokesParams, rng: np.random.Generator, correction: np.ndarray) -> Look:
    """Return the features of a uint8 RGB image (H, W, 3), as they are stored, and its correction, uint8 (H, W)."""
    return _features(image, params, params.backbone).to_bytes(), correction


def fit(looks: Sequence[Look], params: StrokesParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return what the strokes teach, as JSON (`StrokeModel.to_state`)."""
    pixels = None if params.unit == "automatic" else params.unit == "pixels"
    samples = [(Features.from_bytes(features), correction) for features, correction in looks]
    return fit_model(samples, rng, pixels).to_state()


def label(image: np.ndarray, params: StrokesParams, rng: np.random.Generator, state: dict[str, Any]) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that each pixel of a uint8 RGB image (H, W, 3) is foreground."""
    model = StrokeModel.from_state(state)
    named = params.backbone if model.backbone else NONE  # one that was fetched since taught nothing
    found = predict(model, _features(image, params, named, [model.start] if model.start else []))
    count = classes(state)
    if count == 1:
        return found.probability
    numbers = np.arange(1, count + 1, dtype=np.uint8)
    return found.probability[..., np.newaxis] * (found.classes[..., np.newaxis] == numbers)


def classes(state: dict[str, Any]) -> int:
    """Return the number of classes: the greatest that was drawn."""
    return max(*state["classes"], 1)


def _features(image: np.ndarray, params: StrokesParams, named: str, starts: Sequence[str] | None = None) -> Features:
    backbone = backbone_of(named)
    if starts is None:
        return find_features(image, params.superpixels, backbone)
    return find_features(image, params.superpixels, backbone, starts)


METHOD = Method(
    "strokes",
    "Strokes (you mark what is meant)",
    StrokesParams,
    label,
    look,
    fit,
    learns_from_corrections=True,
    classes=classes,
    summary="Anything that a person can mark: draw a few strokes on a few images, and all masks follow.",
)
