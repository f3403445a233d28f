"""Saliency: four cues on one superpixel graph, fused by agreement and refined at the edges.

Sources: Zhu, Liang, Wei and Sun, "Saliency optimization from robust background detection", CVPR 2014,
doi:10.1109/CVPR.2014.360; for the other cues see normalised_cut.py, region_tree.py and minimum_barrier.py, for the
refinement refine.py and bilateral_solver.py.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from engine.core.parameters import number
from engine.labelling.base import LabelParams, Method, shrink
from engine.labelling.cues.bilateral_solver import bilateral_solver
from engine.labelling.cues.features import to_lab
from engine.labelling.cues.fusion import fuse, smooth
from engine.labelling.cues.minimum_barrier import barrier_distance
from engine.labelling.cues.refine import FILTER_CONTRAST, cut_again, follow_edges, guided_filter
from engine.labelling.cues.region_tree import region_votes
from engine.labelling.cues.robust_background import otsu, saliency
from engine.labelling.cues.superpixels import describe, slico
from engine.labelling.methods import normalised_cut

ANALYSIS_SIDE_PX = 200
"""The cues are computed at this size; only the outline is computed at the working size."""

TEXTURE_WEIGHT = 3.0
"""Factor, in Lab units, of local contrast as a fourth channel of colour."""

LEAST_SPREAD = 0.5
"""Lab units by which superpixels must differ; otherwise the image is flat, and only positions would differ."""


def _weight(default: float, description: str, title: str | None = None) -> float:
    return number(default, 0, 1, description, title=title)


class SaliencyParams(LabelParams):
    superpixels: int = number(300, 50, 1000, "Number of superpixels: more of them follow small and thin objects.")
    ground_weight: float = _weight(
        0.4, "Weight of robust background detection: colours that do not occur along the border.", "Background weight"
    )
    groups_weight: float = _weight(
        0.2, "Weight of the groups of the normalised cut: connected superpixels inside the frame."
    )
    regions_weight: float = _weight(
        0.2, "Weight of regions merged by colour: those with little contact to the image border."
    )
    barrier_weight: float = _weight(
        0.2, "Weight of the minimum barrier distance: areas separated from the border by a change of colour."
    )
    strictness: float = number(
        1.0, 0.3, 2, "Factor on the saliency threshold of the foreground: above 1 masks shrink, below 1 they grow."
    )
    grabcut: bool = Field(
        True, description="Segment again with GrabCut by foreground and background colours, if the result is plausible."
    )
    grabcut_side_px: int = number(
        200, 64, 400, "GrabCut runs on the image at this longest side: a larger one is finer and slower.", unit="px"
    )
    outline: Literal["guided_filter", "bilateral_solver", "as_found"] = Field(
        "guided_filter",
        description="How the outline is moved to the edges of the image; the bilateral solver is slower.",
    )


def label(image: np.ndarray, params: SaliencyParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel is salient; 0.5 is at Otsu's threshold of the saliency."""
    height, width = image.shape[:2]
    small = shrink(image, ANALYSIS_SIDE_PX)
    salient = guided_filter(small, fused_saliency(small, params, rng), 3, FILTER_CONTRAST)
    probability = centre_on_threshold(salient, params.strictness)
    probability = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    if params.grabcut:
        probability = cut_again(image, probability, params.grabcut_side_px, rng)
    if params.outline == "guided_filter":
        return follow_edges(image, probability)
    if params.outline == "bilateral_solver":
        return bilateral_solver(image, probability)
    return probability


def fused_saliency(small: np.ndarray, params: SaliencyParams, rng: np.random.Generator) -> np.ndarray:
    """Return the fused saliency float32 (H, W) in [0, 1] of a uint8 RGB image; 0 if it is flat or tiny."""
    superpixels = describe(slico(small, params.superpixels), colour_and_texture(small))
    if len(superpixels.areas) < 3 or np.ptp(superpixels.colours, axis=0).max() < LEAST_SPREAD:
        return np.zeros(small.shape[:2], np.float32)
    cues = {
        "ground": lambda: saliency(superpixels),
        "groups": lambda: normalised_cut.group_votes(superpixels, normalised_cut.NormalisedCutParams(), rng),
        "regions": lambda: region_votes(superpixels),
        "barrier": lambda: barrier_distance(superpixels),
    }
    weights = {name: getattr(params, f"{name}_weight") for name in cues}
    used = [name for name, weight in weights.items() if weight]
    if not used:
        return np.zeros(small.shape[:2], np.float32)
    fused = fuse(np.stack([cues[name]() for name in used]), np.array([weights[name] for name in used]))
    return smooth(superpixels, fused).astype(np.float32)[superpixels.labels]


def colour_and_texture(image: np.ndarray) -> np.ndarray:
    """Return float32 (H, W, 4): CIE Lab, and local contrast: the difference of lightness from its surroundings."""
    lab = to_lab(image)
    lightness = lab[..., 0]
    contrast = cv2.GaussianBlur(np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), 1.5)), (0, 0), 2)
    return np.concatenate([lab, TEXTURE_WEIGHT * contrast[..., None]], axis=2)


def centre_on_threshold(salient: np.ndarray, strictness: float) -> np.ndarray:
    """Return the saliency (H, W) raised to a power such that `strictness` times its Otsu threshold becomes 0.5.

    It is 0 if the saliency is the same everywhere (a flat image, two equal halves).
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
    "Main object (saliency)",
    SaliencyParams,
    label,
    summary="One or a few objects that stand out in a photograph.",
)
