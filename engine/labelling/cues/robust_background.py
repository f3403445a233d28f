"""Saliency of superpixels by robust background detection (boundary connectivity).

Source: Zhu, Liang, Wei and Sun, "Saliency optimization from robust background detection", CVPR 2014,
doi:10.1109/CVPR.2014.360. The names below are the paper's; colours are CIE Lab, positions lie in [0, 1].
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from engine.labelling.cues.superpixels import Superpixels

GEODESIC_SIGMA = 3.5
"""The authors use 7 with about 180 superpixels; smaller superpixels have smaller differences (docs/methods.md)."""

POSITION_SIGMA = 0.4
SMOOTHNESS_SIGMA = 10.0
BACKGROUND_WEIGHT = 5.0
SMOOTHNESS_FLOOR = 0.1
CERTAIN_BACKGROUND = 3.0
"""Boundary connectivity above which a superpixel is fixed as background (weight 1000)."""


def saliency(superpixels: Superpixels) -> np.ndarray:
    """Return float64 (N,) in [0, 1]: the saliency of each superpixel relative to the background at the border."""
    n = len(superpixels.areas)
    if n < 3:
        return np.zeros(n)
    colour = distances(superpixels.colours)
    connectivity = boundary_connectivity(superpixels, colour)
    background = 1 - np.exp(-(connectivity**2) / 2)
    contrast = background_weighted_contrast(superpixels, colour, background)
    return optimise(superpixels, colour, contrast, np.where(connectivity > CERTAIN_BACKGROUND, 1000.0, background))


def boundary_connectivity(superpixels: Superpixels, colour: np.ndarray) -> np.ndarray:
    """Return (N,): length along the image border over the root of the spanned area, both counted in superpixels."""
    edges = superpixels.neighbours | np.logical_and.outer(superpixels.at_border, superpixels.at_border)
    np.fill_diagonal(edges, False)
    nearest = np.where(superpixels.neighbours, colour, np.inf).min(1)
    small = nearest[np.isfinite(nearest)].mean()  # differences up to this are texture, and are free
    # Beyond 4 sigma a superpixel contributes less than exp(-8), so the search stops there.
    reach = 4 * GEODESIC_SIGMA
    rows, columns = np.nonzero(edges & (colour - small < reach))
    # csgraph treats a weight of 0 as no edge
    weights = np.maximum(colour[rows, columns] - small, 0) + 1e-6
    geodesic = dijkstra(csr_array((weights, (rows, columns)), shape=edges.shape), limit=reach)
    span = np.exp(-(geodesic**2) / (2 * GEODESIC_SIGMA**2))
    return span[:, superpixels.at_border].sum(1) / np.sqrt(span.sum(1))


def background_weighted_contrast(superpixels: Superpixels, colour: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return (N,) in [0, 1]: colour contrast to nearby background superpixels; 0 below Otsu's threshold."""
    near = np.exp(-(distances(superpixels.centres) ** 2) / (2 * POSITION_SIGMA**2))
    contrast = (colour * near) @ background
    spread = np.ptp(contrast)
    if spread < 1e-9:
        return np.zeros(len(contrast))
    contrast = (contrast - contrast.min()) / spread
    return np.where(contrast < otsu(contrast), 0, contrast)


def optimise(
    superpixels: Superpixels, colour: np.ndarray, object_weight: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Return the s (N,) in [0, 1] that minimises the paper's cost: 0 for background, 1 for objects, smooth."""
    links = superpixels.within_two_steps | np.logical_and.outer(superpixels.at_border, superpixels.at_border)
    weights = smoothness(superpixels, colour, links, SMOOTHNESS_SIGMA)
    system = np.diag(weights.sum(1) + BACKGROUND_WEIGHT * background + object_weight + 1e-9) - weights
    return np.clip(solve(system, object_weight, assume_a="pos"), 0, 1)


def smoothness(superpixels: Superpixels, colour: np.ndarray, links: np.ndarray, sigma: float) -> np.ndarray:
    """Return float64 (N, N): the smoothness weights of linked superpixels, from their colour distances (N, N)."""
    touching = superpixels.neighbours.astype(np.float32)
    weights = np.exp(-(colour**2) / (2 * sigma**2)) * links + SMOOTHNESS_FLOOR * touching
    np.fill_diagonal(weights, 0)
    return weights


def distances(points: np.ndarray) -> np.ndarray:
    """Return float64 (N, N): Euclidean distance between every two rows of (N, D)."""
    points = points.astype(np.float64)
    squares = (points**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))


def otsu(values: np.ndarray) -> float:
    """Return the value that divides `values` (N,) into two classes with the largest between-class variance."""
    ordered = np.sort(values)
    below = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    variance = (sums[-1] * below / len(ordered) - sums[:-1]) ** 2 / (below * (len(ordered) - below))
    return float(ordered[int(variance.argmax()) + 1])
