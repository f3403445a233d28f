"""Fusion of several saliency cues for the same superpixels, weighted by their agreement."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve

from engine.labelling.cues.robust_background import distances, smoothness
from engine.labelling.cues.superpixels import Superpixels

LEAST_AGREEMENT = 0.02
"""Lower limit of a cue's agreement with the others, so that the weights cannot all be 0."""

COLOUR_SIGMA = 7.0


def fuse(cues: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return float64 (N,) in [0, 1]: the mean of K cues (K, N), each scaled to [0, 1], weighted by agreement.

    A cue's weight (K,) is multiplied by the square of its correlation with the weighted sum of all others.
    """
    low, high = cues.min(1, keepdims=True), cues.max(1, keepdims=True)
    scaled = (cues - low) / np.maximum(high - low, 1e-9)
    weighted = scaled * weights[:, None]
    others = weighted.sum(0) - weighted
    trust = np.array([max(_correlation(a, b), LEAST_AGREEMENT) for a, b in zip(scaled, others, strict=True)])
    counts = weights * trust**2
    return counts @ scaled / max(counts.sum(), 1e-12)


def smooth(superpixels: Superpixels, values: np.ndarray) -> np.ndarray:
    """Return the s (N,) in [0, 1] nearest to `values` (N,) that varies little between neighbours of similar colour.

    Minimises sum (s - values)^2 + sum over pairs W (s_i - s_j)^2 with the weights W of `robust_background.smoothness`.
    """
    colour = distances(superpixels.colours)
    weights = smoothness(superpixels, colour, superpixels.within_two_steps, COLOUR_SIGMA)
    system = np.diag(weights.sum(1) + 1) - weights
    return np.clip(solve(system, values, assume_a="pos"), 0, 1)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / length) if length > 1e-9 else 0.0
