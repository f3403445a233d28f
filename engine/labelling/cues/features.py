"""Features of a pixel for clustering, smoothed Lab colour and weighted position, and k-means on them."""

from __future__ import annotations

import cv2
import numpy as np

from engine.core.parameters import number
from engine.labelling.cues.foreground import RegionParams

SAMPLE_PIXELS = 8192
"""Clusters are computed from at most this many pixels: 4 times faster at 400 px, with nearly the same result."""


class ClusterParams(RegionParams):
    """Common parameters of the methods that group pixels by colour and position."""

    clusters: int = number(4, 2, 16, "Number of groups of pixels.", stage="fit")
    position_weight: float = number(
        0.3,
        0,
        2,
        "0 groups by colour alone; at 1 the image's longest side counts as much as the difference of black and white.",
    )
    smoothing_px: float = number(
        2.0,
        0,
        10,
        "Blur before grouping: a stronger blur ignores texture and noise, a weaker one keeps fine parts.",
        unit="px",
    )


def to_lab(image: np.ndarray) -> np.ndarray:
    """Return a uint8 RGB image as CIE Lab float32 (H, W, 3); lightness in [0, 100]."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def lab_and_position(image: np.ndarray, params: ClusterParams) -> np.ndarray:
    """Return float32 (H*W, 5): smoothed Lab, then x and y in [0, 100 * position_weight] along the longest side."""
    height, width = image.shape[:2]
    lab = to_lab(image)
    if params.smoothing_px:
        lab = cv2.GaussianBlur(lab, (0, 0), params.smoothing_px)
    features = np.empty((height, width, 5), np.float32)
    features[..., :3] = lab
    scale = 100 * params.position_weight / max(height, width)
    features[..., 3] = np.arange(width) * scale
    features[..., 4] = np.arange(height)[:, None] * scale
    return features.reshape(-1, 5)


def find_clusters(features: np.ndarray, clusters: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample of the features float32 (S, D) and the cluster centres (K, D) of k-means in it.

    K is smaller than `clusters` if there are fewer distinct colours: a flat image is one cluster.
    """
    count = len(features)
    sample = features[rng.choice(count, SAMPLE_PIXELS, replace=False)] if count > SAMPLE_PIXELS else features
    distinct = len(np.unique(sample[:, :3], axis=0))
    if distinct == 1:
        return sample, sample.mean(0, keepdims=True)
    return sample, kmeans(sample, min(clusters, distinct), rng, iterations=30, epsilon=0.1, attempts=2)[1]


def kmeans(
    points: np.ndarray, clusters: int, rng: np.random.Generator, iterations: int, epsilon: float, attempts: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cluster of each point float32 (N, D), int (N,), and the centres float32 (K, D), by k-means++."""
    # OpenCV has its own random generator for each thread; seeding it here makes the result reproducible.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, iterations, epsilon)
    unused = np.empty(0, np.int32)
    _, owner, centres = cv2.kmeans(points, clusters, unused, stop, attempts, cv2.KMEANS_PP_CENTERS)
    return np.asarray(owner).ravel(), np.asarray(centres)


def squared_distances(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return float32 (N, K): squared distance of each feature row to each centre, never below 0."""
    squares = (features**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * features @ centres.T
    return np.maximum(squares, 0)
