"""What stands out from the ground: robust background detection at several scales, guided filter, guarded GrabCut.

The groups of the normalised cut have a say too: they keep an object of several colours together.

Source: Zhu, Liang, Wei and Sun, "Saliency optimization from robust background detection", CVPR 2014,
doi:10.1109/CVPR.2014.360; for the refinements see refine.py.
"""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field

from engine.pseudo_labels import normalised_cut
from engine.pseudo_labels.base import LabelParams, Method, shrink
from engine.pseudo_labels.refine import grabcut, guided_filter
from engine.pseudo_labels.robust_background import otsu, saliency
from engine.pseudo_labels.superpixels import find_superpixels

ANALYSIS_SIDE_PX = 256
"""Superpixels are found at this size: they come out as well as at 400 px, at a third of the time."""

GRABCUT_SHARE = 0.8
"""What GrabCut's hard mask counts in the result; the rest is the saliency it started from."""


class SaliencyParams(LabelParams):
    superpixels: int = Field(
        600, ge=50, le=1000, description="Pieces of the finest scale: more of them follow small and thin objects."
    )
    scales: int = Field(
        3,
        ge=1,
        le=3,
        description="How many scales are averaged: the finest, then two thirds and one third as many pieces.",
    )
    grouping_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the normalised cut's groups in the saliency; 0 leaves robust background detection alone.",
    )
    strictness: float = Field(
        1.0,
        ge=0.3,
        le=2,
        description="Factor on the level above which a place is object: above 1 masks shrink, below 1 they grow.",
    )
    guided_filter: bool = Field(True, description="Move the mask's outline to the edges of the image.")
    filter_radius_px: int = Field(
        6,
        ge=1,
        le=40,
        description="How far the guided filter looks for an edge.",
        json_schema_extra={"unit": "px"},
    )
    filter_edge_contrast: float = Field(
        0.1,
        ge=0.01,
        le=0.5,
        description="The contrast from which a step in the image counts as an edge for the guided filter.",
        json_schema_extra={"unit": "share of full contrast"},
    )
    grabcut: bool = Field(
        True,
        description="Let GrabCut learn the colours of object and ground and cut again; dropped where it runs away.",
    )
    grabcut_iterations: int = Field(3, ge=1, le=10, description="Rounds of GrabCut.")
    grabcut_side_px: int = Field(
        200,
        ge=64,
        le=800,
        description="GrabCut runs on the image at this longest side: more is finer and slower.",
        json_schema_extra={"unit": "px"},
    )


def label(image: np.ndarray, params: SaliencyParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel stands out; 0.5 lies at Otsu's threshold of the saliency."""
    height, width = image.shape[:2]
    salient = cv2.resize(mixed_saliency(image, params, rng), (width, height), interpolation=cv2.INTER_LINEAR)
    if params.guided_filter:
        salient = guided_filter(image, salient, params.filter_radius_px, params.filter_edge_contrast)
    probability = centre_on_threshold(salient, params.strictness)
    if not params.grabcut:
        return probability
    cut = grabcut(image, probability, params.grabcut_iterations, params.grabcut_side_px, rng)
    if cut is None:
        return probability
    mixed = GRABCUT_SHARE * cut.astype(np.float32) + (1 - GRABCUT_SHARE) * probability
    if not params.guided_filter:
        return mixed
    return guided_filter(image, mixed, params.filter_radius_px, params.filter_edge_contrast)


def mixed_saliency(image: np.ndarray, params: SaliencyParams, rng: np.random.Generator) -> np.ndarray:
    """Return saliency and the groups' vote, mixed by weight, float32 in [0, 1], at ANALYSIS_SIDE_PX or smaller."""
    small = shrink(image, ANALYSIS_SIDE_PX)
    salient = average_over_scales(small, params)
    # Its scale differs from image to image; the vote's does not.
    salient /= max(float(salient.max()), 1e-6)
    if not params.grouping_weight:
        return salient
    groups = normalised_cut.label(small, normalised_cut.NormalisedCutParams(), rng)
    return (1 - params.grouping_weight) * salient + params.grouping_weight * groups


def average_over_scales(small: np.ndarray, params: SaliencyParams) -> np.ndarray:
    """Return the mean saliency float32 (H, W) in [0, 1] over the scales."""
    total = np.zeros(small.shape[:2], np.float32)
    for scale in range(params.scales):
        superpixels = find_superpixels(small, round(params.superpixels * (3 - scale) / 3))
        total += saliency(superpixels).astype(np.float32)[superpixels.labels]
    return total / params.scales


def centre_on_threshold(salient: np.ndarray, strictness: float) -> np.ndarray:
    """Return the saliency (H, W) bent by a power so that `strictness` times its Otsu threshold becomes 0.5.

    Where saliency is the same everywhere (a flat image, two equal halves) there is no object: all is 0.
    """
    peak = float(salient.max())
    if peak - float(salient.min()) < 1e-3:
        return np.zeros_like(salient)
    salient = salient / peak
    levels = np.sort(salient.ravel()[:: max(1, salient.size // 4096)])
    level = min(max(strictness * otsu(levels), 0.02), 0.98)
    return salient ** np.float32(np.log(0.5) / np.log(level))


METHOD = Method(
    "saliency",
    "Saliency (robust background detection)",
    SaliencyParams,
    label,
    summary="One or a few objects that stand out in a photograph; the best start when nothing else is known.",
)
