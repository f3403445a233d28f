"""Kinds of pieces in a dataset: a mixture of upright Gaussians whose features count by weight.

Source: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal Statistical
Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x, begun with k-means (Lloyd, 1982,
doi:10.1109/TIT.1982.1056489). The weight of a feature multiplies its logarithm of density: 0 leaves the feature out,
1 counts it in full, and anything between softens what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        return Mixture(self.shift, self.scale, self.weights, self.means[order], self.variances[order], shares)

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
    centres, owner = kmeans(scaled * np.sqrt(weights), clusters, rng)
    belongs = np.eye(len(centres), dtype=np.float32)[owner]
    mixture = maximise(scaled, belongs, shift, scale, weights)
    if model == "kmeans":
        variance = max(float((mixture.variances * weights).mean(1) @ mixture.shares) / weights.mean(), VARIANCE_FLOOR)
        even = np.full(len(centres), 1 / len(centres))
        return Mixture(shift, scale, weights, mixture.means, np.full_like(mixture.means, variance), even)
    for _ in range(ITERATIONS):
        belongs = softmax(log_densities(scaled, mixture), axis=1)
        mixture = maximise(scaled, belongs, shift, scale, weights)
    return mixture


def kmeans(points: np.ndarray, clusters: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return centres float32 (K, D) of points (N, D) and each point's cluster (N,); K at most the distinct points."""
    points = np.ascontiguousarray(points, np.float32)
    distinct = len(np.unique(points.round(3), axis=0))
    if distinct == 1:
        return points.mean(0, keepdims=True), np.zeros(len(points), int)
    # OpenCV draws from a generator of its own, one per thread; seeding it here makes the call repeatable.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-3)
    _, owner, centres = cv2.kmeans(points, min(clusters, distinct), None, stop, 2, cv2.KMEANS_PP_CENTERS)
    return centres, owner.ravel()


def maximise(
    scaled: np.ndarray, belongs: np.ndarray, shift: np.ndarray, scale: np.ndarray, weights: np.ndarray
) -> Mixture:
    """Return the likeliest mixture where rows (N, D) belong to clusters as `belongs` (N, K) says."""
    mass = belongs.sum(0) + 1e-6
    means = (belongs.T @ scaled) / mass[:, None]
    variances = np.maximum((belongs.T @ scaled**2) / mass[:, None] - means**2, 0) + VARIANCE_FLOOR
    return Mixture(shift, scale, weights, means, variances, mass / mass.sum())


def log_densities(scaled: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return float64 (N, K): logarithm of share times weighed density of each cluster for scaled rows (N, D)."""
    precisions = mixture.weights / mixture.variances
    # Matrices in the rows' own precision: float32 halves the time of a fit.
    inverse = precisions.T.astype(scaled.dtype)
    towards = (mixture.means * precisions).T.astype(scaled.dtype)
    spread = (mixture.weights * np.log(mixture.variances)).sum(1) + (mixture.means**2 * precisions).sum(1)
    constant = (np.log(mixture.shares) - 0.5 * spread).astype(scaled.dtype)
    return constant - 0.5 * (scaled**2 @ inverse) + scaled @ towards
