"""Strokes: a classifier that learns from what people mark on a few images (`engine.labelling.strokes`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from pydantic import Field

from engine.core.parameters import number
from engine.core.recent_values import RecentValues
from engine.labelling.base import LabelParams, Method
from engine.labelling.cues.activations import digest
from engine.labelling.feature_cache import FeatureCache
from engine.labelling.strokes.backbones import NONE, backbone_of
from engine.labelling.strokes.features import VERSION, Features, find_features
from engine.labelling.strokes.model import StrokeModel, predict
from engine.labelling.strokes.model import fit as fit_model

Look = tuple[bytes, np.ndarray]

_unpacked: RecentValues[Features] = RecentValues(500_000_000)
"""Features by the bytes that they were stored as: a process that follows strokes needs the same again and again."""


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


def look(
    image: np.ndarray,
    params: StrokesParams,
    rng: np.random.Generator,
    correction: np.ndarray,
    cache: FeatureCache | None = None,
) -> Look:
    """Return the features of a uint8 RGB image (H, W, 3), as they are stored, and its correction, uint8 (H, W)."""
    return _stored_features(image, params, params.backbone, cache), correction


def fit(looks: Sequence[Look], params: StrokesParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return what the strokes teach, as JSON (`StrokeModel.to_state`)."""
    pixels = None if params.unit == "automatic" else params.unit == "pixels"
    samples = [(_unpack(features), correction) for features, correction in looks]
    return fit_model(samples, rng, pixels).to_state()


def label(
    image: np.ndarray,
    params: StrokesParams,
    rng: np.random.Generator,
    state: dict[str, Any],
    cache: FeatureCache | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability (H, W) in [0, 1] that each pixel of a uint8 RGB image (H, W, 3) is foreground, or that of
    each class (H, W, K) if there are several, and the doubt (H, W) about it.
    """
    model = StrokeModel.from_state(state)
    named = params.backbone if model.backbone else NONE  # one that was fetched since taught nothing
    if cache is None:
        starts = [model.start] if model.start else []
        features = find_features(image, params.superpixels, backbone_of(named), starts)
    else:
        features = _unpack(_stored_features(image, params, named, cache))
    found = predict(model, features)
    count = classes(state)
    if count == 1:
        return found.probability, found.doubt
    numbers = np.arange(1, count + 1, dtype=np.uint8)
    return found.probability[..., np.newaxis] * (found.classes[..., np.newaxis] == numbers), found.doubt


def classes(state: dict[str, Any]) -> int:
    """Return the number of classes: the greatest that was drawn."""
    return max(*state["classes"], 1)


def look_depends_on(params: StrokesParams) -> str:
    """Return the digest of the ONNX file that describes images; empty without one.

    Raises:
        BackboneError: the file that `params` name cannot be read.
    """
    backbone = backbone_of(params.backbone)
    return digest(backbone) if backbone else ""


def _stored_features(image: np.ndarray, params: StrokesParams, named: str, cache: FeatureCache | None) -> bytes:
    """Return the features of an image with the masks of all starts, from the cache or computed and kept there."""
    backbone = backbone_of(named)
    computed_with = json.dumps(["strokes", VERSION, params.superpixels, digest(backbone) if backbone else ""])
    data = cache.get(computed_with, image) if cache else None
    if data is not None:
        with suppress(ValueError):  # damaged
            _unpack(data)
            return data
    data = find_features(image, params.superpixels, backbone).to_bytes()
    if cache:
        cache.keep(computed_with, image, data)
    return data


def _unpack(data: bytes) -> Features:
    features = _unpacked.get(data) or Features.from_bytes(data)
    arrays = [value for value in vars(features).values() if isinstance(value, np.ndarray)]  # with `Features.pixels`
    _unpacked.keep(data, features, len(data) + sum(array.nbytes for array in arrays))
    return features


METHOD = Method(
    "strokes",
    "Strokes (you mark what is meant)",
    StrokesParams,
    label,
    look,
    fit,
    learns_from_corrections=True,
    caches_features=True,
    look_depends_on=look_depends_on,
    classes=classes,
    summary="Anything that a person can mark: draw a few strokes on a few images, and all masks follow.",
)
