"""A mixture of Gaussians in Lab colour and position, by expectation maximisation; clusters may be long and slanted.

Source: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal
Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.linalg import solve_triangular
from scipy.special import log_softmax, softmax

from engine.pseudo_labels.base import Method
from engine.pseudo_labels.features import ClusterParams, find_clusters, lab_and_position, squared_distances
from engine.pseudo_labels.foreground import choose


class GaussianMixtureParams(ClusterParams):
    iterations: int = Field(20, ge=1, le=100, description="Rounds of expectation maximisation after k-means has begun.")
    spread_floor: float = Field(
        1.0,
        ge=0.1,
        le=20,
        description="Least standard deviation of a cluster: more of it keeps clusters from shrinking onto one tone.",
        json_schema_extra={"unit": "Lab units"},
    )


def label(image: np.ndarray, params: GaussianMixtureParams, rng: np.random.Generator) -> np.ndarray:
    """Return the posterior probability (H, W) in [0, 1] of the foreground's Gaussians."""
    features = lab_and_position(image, params)
    sample, centres = find_clusters(features, params.clusters, rng)
    responsibility = np.eye(len(centres))[squared_distances(sample, centres).argmin(1)]
    for _ in range(params.iterations):
        mixture = maximise(sample, responsibility, params.spread_floor**2)
        responsibility = softmax(log_joint(sample, *mixture), axis=1)
    mixture = maximise(sample, responsibility, params.spread_floor**2)
    posterior = np.exp(log_softmax(log_joint(features, *mixture), axis=1))
    regions = posterior.argmax(1).reshape(image.shape[:2])
    chosen = choose(regions, features[:, 0], params.foreground)
    return np.clip(posterior[:, : len(chosen)][:, chosen].sum(1), 0, 1).reshape(image.shape[:2])


def maximise(
    sample: np.ndarray, responsibility: np.ndarray, variance_floor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights (K,), means (K, D) and covariances (K, D, D) of features (S, D) shared out as (S, K)."""
    counts = responsibility.sum(0) + 1e-6
    means = responsibility.T @ sample / counts[:, None]
    moments = np.einsum("sk,sd,se->kde", responsibility, sample, sample, optimize=True) / counts[:, None, None]
    covariances = moments - means[:, :, None] * means[:, None, :]
    return counts / counts.sum(), means, covariances + variance_floor * np.eye(sample.shape[1])


def log_joint(features: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return (N, K): log density of each feature row under each weighted Gaussian, less a constant."""
    result = np.empty((len(features), len(weights)))
    for k, (weight, mean, covariance) in enumerate(zip(weights, means, covariances, strict=True)):
        root = np.linalg.cholesky(covariance)
        whitened = solve_triangular(root, (features - mean).T, lower=True)
        result[:, k] = np.log(weight) - np.log(np.diag(root)).sum() - (whitened**2).sum(0) / 2
    return result


METHOD = Method(
    "gaussian_mixture",
    "Gaussian mixture (colour and position)",
    GaussianMixtureParams,
    label,
    summary="Like k-means where colours drift: shaded objects, uneven light, a smooth gradient as ground.",
)
