"""Superpixels, their region adjacency graph, and the one cut that parts it best.

Sources: Shi and Malik, "Normalized cuts and image segmentation", IEEE Trans. Pattern Analysis and Machine Intelligence
22(8), 2000, doi:10.1109/34.868688 (equation 6, (D - W) y = lambda D y, here solved densely); the split of the second
eigenvector at its mean follows Wang et al., "TokenCut", CVPR 2022, doi:10.1109/CVPR52688.2022.01414.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.linalg import eigh
from scipy.special import expit

from engine.pseudo_labels.base import Method
from engine.pseudo_labels.foreground import RegionParams, choose
from engine.pseudo_labels.refine import guided_filter
from engine.pseudo_labels.robust_background import distances
from engine.pseudo_labels.superpixels import Superpixels, find_superpixels


class NormalisedCutParams(RegionParams):
    superpixels: int = Field(200, ge=20, le=600, description="How many pieces the image is cut into first.")
    colour_sigma: float = Field(
        10,
        ge=1,
        le=60,
        description="Colour difference at which neighbours come apart: small for faint objects, large for gaudy ones.",
        json_schema_extra={"unit": "Lab units"},
    )
    position_sigma: float = Field(
        0.3,
        ge=0.05,
        le=2,
        description="Distance at which pieces come apart.",
        json_schema_extra={"unit": "share of the image side"},
    )
    softness: float = Field(
        0.3, ge=0.01, le=2, description="How gradual the change from ground to object is; small gives a hard mask."
    )


def label(image: np.ndarray, params: NormalisedCutParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel lies on the object's side of the cut."""
    superpixels = find_superpixels(image, params.superpixels)
    cut = second_eigenvector(superpixels, params.colour_sigma, params.position_sigma)
    if cut is None:
        return np.zeros(image.shape[:2], np.float32)
    sides = (cut > 0).astype(np.int32)[superpixels.labels]
    chosen = choose(sides, superpixels.colours[:, 0][superpixels.labels], params.foreground)
    if not chosen.any():
        return np.zeros(image.shape[:2], np.float32)
    height = (cut if chosen[-1] else -cut) / (params.softness * cut.std())
    return guided_filter(image, expit(height).astype(np.float32)[superpixels.labels], 4, 0.1)


def second_eigenvector(superpixels: Superpixels, colour_sigma: float, position_sigma: float) -> np.ndarray | None:
    """Return (N,): the second smallest solution of (D - W) y = lambda D y, less its mean; None if there is no cut.

    W is exp(-colour distance^2 / colour_sigma^2 - place distance^2 / position_sigma^2) between neighbours and their
    neighbours, with a faint link between all others so that the graph always hangs together.
    """
    if len(superpixels.areas) < 3 or np.ptp(superpixels.colours, axis=0).max() < 1:
        return None
    near = superpixels.neighbours.astype(np.float32)
    links = (near + near @ near > 0) + 1e-4
    colour, place = distances(superpixels.colours), distances(superpixels.centres)
    weights = links * (np.exp(-((colour / colour_sigma) ** 2) - (place / position_sigma) ** 2) + 1e-6)
    np.fill_diagonal(weights, 0)
    degrees = np.diag(weights.sum(1))
    vector = eigh(degrees - weights, degrees, subset_by_index=[1, 1])[1][:, 0]
    vector = vector - vector.mean()
    # An eigenvector has no sign of its own; this one makes it the same on every machine.
    return vector * np.sign(vector[np.abs(vector).argmax()])


METHOD = Method(
    "normalised_cut",
    "Normalised cut (superpixel graph)",
    NormalisedCutParams,
    label,
    summary="One large object that differs from the ground in colour and lies together.",
)
