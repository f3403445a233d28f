"""Deep features: pretrained activations learn, over all images, what first masks without them have in common.

Sources: see `engine.labelling.cues.tokens`; the first masks are those of saliency.py, or TokenCut's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import Field

from engine.core.parameters import number
from engine.labelling.base import LabelParams, Method
from engine.labelling.cues.activations import BackboneError, digest
from engine.labelling.cues.refine import cut_again, follow_edges
from engine.labelling.cues.tokens import describe, find_tokens, reassign, regress, token_cut
from engine.labelling.methods import saliency
from engine.labelling.strokes.backbones import backbone_of

GRABCUT_SIDE_PX = 200
NO_WEIGHTS = (
    "This method needs pretrained weights. Get them by 'maskloom weights get', or name an ONNX file as its 'backbone'."
)
OTHER_WEIGHTS = (
    "The pretrained weights that these masks were learned with are gone or have changed. Make a new mask set."
)


class DeepFeaturesParams(LabelParams):
    backbone: str = Field(
        "",
        max_length=1000,
        pattern=r"^[^\x00-\x1f]*$",
        description="An ONNX file whose outputs describe images; empty for the MobileNetV2 of this installation.",
        json_schema_extra={"stage": "look"},
    )
    first_masks: Literal["saliency", "token_cut"] = Field(
        "saliency",
        description="Where learning starts: the masks of Main object, or a cut of the graph of deep features.",
        json_schema_extra={"stage": "look"},
    )
    similarity: float = number(
        0.2,
        -0.5,
        0.95,
        "The cut of the graph links places whose features have a cosine above this.",
        stage="look",
    )
    reassignments: int = number(
        1, 0, 20, "How often each place of an image is reassigned to the nearer mean of foreground and background."
    )
    grabcut: bool = Field(
        True, description="Segment again with GrabCut by foreground and background colours, if the result is plausible."
    )


@dataclass(frozen=True)
class Look:
    """One image: its tokens float16 (h, w, C), and what its first mask is there, float16 (h, w) in [0, 1]."""

    tokens: np.ndarray
    first: np.ndarray
    backbone: str
    """The SHA-256 of the ONNX file."""


def look(image: np.ndarray, params: DeepFeaturesParams, rng: np.random.Generator) -> Look:
    """Return the tokens and the first mask of a uint8 RGB image (H, W, 3).

    Raises:
        BackboneError: there is no ONNX file, or it cannot describe images.
    """
    backbone = _backbone(params)
    tokens = find_tokens(image, backbone)
    if np.ptp(image.reshape(-1, 3), axis=0).max() == 0:
        full = np.zeros(image.shape[:2], np.float32)
    elif params.first_masks == "token_cut":
        full = token_cut(tokens, params.similarity).astype(np.float32)
    else:
        full = saliency.label(image, saliency.SaliencyParams(), rng)
    first = cv2.resize(full, tokens.shape[1::-1], interpolation=cv2.INTER_AREA)
    return Look(tokens.astype(np.float16), first.astype(np.float16), digest(backbone))


def fit(looks: Sequence[Look], params: DeepFeaturesParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return as JSON `weights`, the coefficients of the regression, `images`, their number, and `backbone`, the SHA-256
    of the ONNX file.
    """
    weights = regress((each.tokens, each.first) for each in looks)
    rounded = [float(f"{each:.7g}") for each in weights]
    return {"weights": rounded, "images": len(looks), "backbone": looks[0].backbone}


def label(image: np.ndarray, params: DeepFeaturesParams, rng: np.random.Generator, state: dict[str, Any]) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel of a uint8 RGB image (H, W, 3) is foreground.

    Raises:
        BackboneError: there is no ONNX file, or the state was learned with another one.
    """
    backbone = backbone_of(params.backbone)
    if backbone is None or digest(backbone) != state["backbone"]:
        raise BackboneError(OTHER_WEIGHTS)
    height, width = image.shape[:2]
    if np.ptp(image.reshape(-1, 3), axis=0).max() == 0:
        return np.zeros((height, width), np.float32)  # an image of one colour has no foreground
    tokens = find_tokens(image, backbone)
    learned = np.clip(describe(tokens) @ np.float32(state["weights"]), 0, 1).reshape(tokens.shape[:2])
    if params.reassignments:
        learned = (learned + reassign(tokens, learned, params.reassignments)) / 2
    probability = cv2.resize(learned.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    if params.grabcut:
        probability = cut_again(image, probability, GRABCUT_SIDE_PX, rng)
    return follow_edges(image, probability)


def look_depends_on(params: DeepFeaturesParams) -> str:
    """Return the digest of the ONNX file that describes images; empty without one."""
    backbone = backbone_of(params.backbone)
    return digest(backbone) if backbone else ""


def _backbone(params: DeepFeaturesParams) -> Path:
    backbone = backbone_of(params.backbone)
    if backbone is None:
        raise BackboneError(NO_WEIGHTS)
    return backbone


METHOD = Method(
    "deep_features",
    "Main object by deep features (pretrained)",
    DeepFeaturesParams,
    label,
    look,
    fit,
    look_depends_on=look_depends_on,
    needs_weights=True,
    summary="One or a few objects that stand out in photographs. It learns from all images.",
)
