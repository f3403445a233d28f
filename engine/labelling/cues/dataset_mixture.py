"""Clusters of the pieces of a dataset: a mixture of axis-aligned Gaussians with weighted features.

Source: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal Statistical
Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x, initialised with k-means (Lloyd, 1982,
doi:10.1109/TIT.1982.1056489). The weight of a feature multiplies the logarithm of its density: 0 ignores the feature,
1 counts it fully.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import softmax

from engine.labelling.cues.features import kmeans

ITERATIONS = 30
INDEPENDENCE = 0.3
"""Factor on the log densities: features are correlated, so their product would give too certain memberships."""

VARIANCE_FLOOR = 0.05
"""For features of variance 1; prevents a cluster from collapsing to one value."""


@dataclass(frozen=True)
class Mixture:
    """K clusters of features (D,), in standardised units."""

    shift: np.ndarray
    scale: np.ndarray
    """float64 (D,): (features - shift) * scale has mean 0 and variance 1 over the dataset."""
    weights: np.ndarray
    """float64 (D,): the weight of each feature."""
    means: np.ndarray
    """float64 (K, D)."""
    variances: np.ndarray
    """float64 (K, D)."""
    shares: np.ndarray
    """float64 (K,): the share of each cluster in the pieces; the sum is 1."""

    def log_densities(self, features: np.ndarray) -> np.ndarray:
        """Return float64 (N, K): logarithm of share times density of each cluster, up to one constant per row."""
        return log_densities((features - self.shift) * self.scale, self)

    def membership(self, features: np.ndarray) -> np.ndarray:
        """Return float64 (N, K): the membership of each row (N, D) in each cluster; rows sum to 1."""
        return softmax(INDEPENDENCE * self.log_densities(features), axis=1)

    def ordered(self, order: np.ndarray) -> Mixture:
        """Return the clusters at the indices `order`."""
        shares = self.shares[order] / self.shares[order].sum()
        return replace(self, means=self.means[order], variances=self.variances[order], shares=shares)

    def as_json(self) -> dict[str, Any]:
        """Return a dict for JSON, which `from_json` reads."""
        return {name: np.round(value, 5).tolist() for name, value in vars(self).items()}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Mixture:
        """Return the mixture from the dict of `as_json`."""
        return Mixture(**{name: np.array(value, np.float64) for name, value in values.items()})


def find_mixture(
    features: np.ndarray, weights: np.ndarray, clusters: int, model: str, rng: np.random.Generator
) -> Mixture:
    """Return at most `clusters` clusters of features (N, D); fewer if there are fewer distinct rows.

    With `model` "kmeans" all clusters have the same share and the same variance in all weighted features.
    """
    shift, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    # A constant feature carries no information and must not be amplified.
    scale = np.where(spread > 1e-4, 1 / np.maximum(spread, 1e-4), 0)
    scaled = ((features - shift) * scale).astype(np.float32)
    owner = nonempty_clusters(scaled * np.sqrt(weights), clusters, rng)
    belongs = np.eye(int(owner.max()) + 1, dtype=np.float32)[owner]
    empty = Mixture(shift, scale, weights, *(np.empty(0) for _ in range(3)))
    mixture = maximise(scaled, belongs, empty)
    if model == "kmeans":
        return evened(mixture)
    for _ in range(ITERATIONS):
        mixture = maximise(scaled, softmax(log_densities(scaled, mixture), axis=1), mixture)
    return mixture


def evened(mixture: Mixture) -> Mixture:
    """Return the mixture with equal shares and variances, so that the nearest centre wins, as in k-means."""
    spread = float((mixture.variances * mixture.weights).mean(1) @ mixture.shares) / mixture.weights.mean()
    variances = np.full_like(mixture.variances, max(spread, VARIANCE_FLOOR))
    shares = np.full(len(mixture.shares), 1 / len(mixture.shares))
    return replace(mixture, variances=variances, shares=shares)


def nonempty_clusters(points: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return the cluster 0..K-1 of each point (N, D), none empty; K is at most the number of distinct points."""
    points = np.ascontiguousarray(points, np.float32)
    distinct = len(np.unique(points.round(3), axis=0))
    if distinct == 1:
        return np.zeros(len(points), int)
    owner, _ = kmeans(points, min(clusters, distinct), rng, iterations=15, epsilon=1e-3)
    return np.unique(owner, return_inverse=True)[1].ravel()


def maximise(scaled: np.ndarray, belongs: np.ndarray, before: Mixture) -> Mixture:
    """Return the mixture of maximum likelihood for scaled rows (N, D) with memberships (N, K)."""
    mass = belongs.sum(0) + 1e-6
    means = (belongs.T @ scaled) / mass[:, None]
    variances = np.maximum((belongs.T @ scaled**2) / mass[:, None] - means**2, 0) + VARIANCE_FLOOR
    return replace(before, means=means, variances=variances, shares=mass / mass.sum())


def log_densities(scaled: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return float64 (N, K): logarithm of share times weighted density of each cluster for scaled rows (N, D)."""
    precisions = mixture.weights / mixture.variances
    # In the precision of the rows: float32 halves the time of a fit.
    inverse = precisions.T.astype(scaled.dtype)
    towards = (mixture.means * precisions).T.astype(scaled.dtype)
    spread = (mixture.weights * np.log(mixture.variances)).sum(1) + (mixture.means**2 * precisions).sum(1)
    constant = (np.log(mixture.shares) - 0.5 * spread).astype(scaled.dtype)
    return constant - 0.5 * (scaled**2 @ inverse) + scaled @ towards
