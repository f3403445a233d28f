"""Kinds of pieces in a dataset: a mixture of upright Gaussians whose features count by weight.

Source: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal Statistical
Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x, begun with k-means (Lloyd, 1982,
doi:10.1109/TIT.1982.1056489). The weight of a feature multiplies its logarithm of density: 0 leaves the feature out,
1 counts it in full, and anything between softens what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from scipy.special import softmax

ITERATIONS = 30
INDEPENDENCE = 0.3
"""The features repeat each other, and their product would be certain of everything: so much of it is taken for new."""

VARIANCE_FLOOR = 0.05
"""Of features with variance 1: keeps a cluster from shrinking onto one value."""


@dataclass(frozen=True)
class Mixture:
    """K clusters of features (D,), all in units of the features' own spread."""

    shift: np.ndarray
    scale: np.ndarray
    """float64 (D,): (features - shift) * scale has mean 0 and variance 1 over the dataset."""
    weights: np.ndarray
    """float64 (D,): what each feature counts."""
    means: np.ndarray
    """float64 (K, D)."""
    variances: np.ndarray
    """float64 (K, D)."""
    shares: np.ndarray
    """float64 (K,): how common each cluster is among the pieces; they add up to 1."""

    def log_densities(self, features: np.ndarray) -> np.ndarray:
        """Return float64 (N, K): logarithm of share times density of each cluster, up to one constant per row."""
        return log_densities((features - self.shift) * self.scale, self)

    def membership(self, features: np.ndarray) -> np.ndarray:
        """Return float64 (N, K): how far each row (N, D) belongs to each cluster; rows add up to 1."""
        return softmax(INDEPENDENCE * self.log_densities(features), axis=1)

    def ordered(self, order: np.ndarray) -> Mixture:
        """Return the clusters in another order, or some of them."""
        shares = self.shares[order] / self.shares[order].sum()
        return replace(self, means=self.means[order], variances=self.variances[order], shares=shares)

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {name: np.round(value, 5).tolist() for name, value in vars(self).items()}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Mixture:
        """Return the mixture that `as_json` wrote."""
        return Mixture(**{name: np.array(value, np.float64) for name, value in values.items()})


def find_mixture(
    features: np.ndarray, weights: np.ndarray, clusters: int, model: str, rng: np.random.Generator
) -> Mixture:
    """Return at most `clusters` clusters of features (N, D); fewer where fewer rows differ.

    With `model` "kmeans" all clusters are equally common and have one spread in all weighed features.
    """
    shift, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    # A feature that is the same everywhere says nothing, and must not be blown up.
    scale = np.where(spread > 1e-4, 1 / np.maximum(spread, 1e-4), 0)
    scaled = ((features - shift) * scale).astype(np.float32)
    owner = kmeans(scaled * np.sqrt(weights), clusters, rng)
    belongs = np.eye(int(owner.max()) + 1, dtype=np.float32)[owner]
    empty = Mixture(shift, scale, weights, *(np.empty(0) for _ in range(3)))
    mixture = maximise(scaled, belongs, empty)
    if model == "kmeans":
        return evened(mixture)
    for _ in range(ITERATIONS):
        mixture = maximise(scaled, softmax(log_densities(scaled, mixture), axis=1), mixture)
    return mixture


def evened(mixture: Mixture) -> Mixture:
    """Return the mixture with all clusters equally common and of one spread: nearest centres, as k-means has it."""
    spread = float((mixture.variances * mixture.weights).mean(1) @ mixture.shares) / mixture.weights.mean()
    variances = np.full_like(mixture.variances, max(spread, VARIANCE_FLOOR))
    shares = np.full(len(mixture.shares), 1 / len(mixture.shares))
    return replace(mixture, variances=variances, shares=shares)


def kmeans(points: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return the cluster 0..K-1 of each point (N, D), none empty; K is at most the number of distinct points."""
    points = np.ascontiguousarray(points, np.float32)
    distinct = len(np.unique(points.round(3), axis=0))
    if distinct == 1:
        return np.zeros(len(points), int)
    # OpenCV draws from a generator of its own, one per thread; seeding it here makes the call repeatable.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 15, 1e-3)
    owner = cv2.kmeans(points, min(clusters, distinct), None, stop, 1, cv2.KMEANS_PP_CENTERS)[1]
    return np.unique(owner, return_inverse=True)[1].ravel()


def maximise(scaled: np.ndarray, belongs: np.ndarray, before: Mixture) -> Mixture:
    """Return the likeliest mixture where scaled rows (N, D) belong to clusters as `belongs` (N, K) says."""
    mass = belongs.sum(0) + 1e-6
    means = (belongs.T @ scaled) / mass[:, None]
    variances = np.maximum((belongs.T @ scaled**2) / mass[:, None] - means**2, 0) + VARIANCE_FLOOR
    return replace(before, means=means, variances=variances, shares=mass / mass.sum())


def log_densities(scaled: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return float64 (N, K): logarithm of share times weighed density of each cluster for scaled rows (N, D)."""
    precisions = mixture.weights / mixture.variances
    # Matrices in the rows' own precision: float32 halves the time of a fit.
    inverse = precisions.T.astype(scaled.dtype)
    towards = (mixture.means * precisions).T.astype(scaled.dtype)
    spread = (mixture.weights * np.log(mixture.variances)).sum(1) + (mixture.means**2 * precisions).sum(1)
    constant = (np.log(mixture.shares) - 0.5 * spread).astype(scaled.dtype)
    return constant - 0.5 * (scaled**2 @ inverse) + scaled @ towards
