"""K-means in Lab colour and position; the foreground is chosen among the clusters.

Source: Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory 28(2), 1982,
doi:10.1109/TIT.1982.1056489; initialised as in Arthur and Vassilvitskii, "k-means++", SODA 2007.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from engine.labelling.base import Method
from engine.labelling.cues.features import ClusterParams, find_clusters, lab_and_position, squared_distances
from engine.labelling.cues.foreground import choose


class KMeansParams(ClusterParams):
    pass


def label(image: np.ndarray, params: KMeansParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel belongs to a foreground cluster.

    Membership is soft: clusters are treated as round Gaussians with the mean variance.
    """
    features = lab_and_position(image, params)
    _, centres = find_clusters(features, params.clusters, rng)
    distances = squared_distances(features, centres)
    regions = distances.argmin(1).reshape(image.shape[:2])
    chosen = choose(regions, features[:, 0], params.foreground)
    variance = max(float(distances.min(1).mean()) / features.shape[1], 1e-3)
    membership = softmax(-distances / (2 * variance), axis=1)
    return np.clip(membership[:, : len(chosen)][:, chosen].sum(1), 0, 1).reshape(image.shape[:2])


METHOD = Method(
    "kmeans",
    "K-means (colour and position)",
    KMeansParams,
    label,
    summary="Objects of a distinct colour on a background of few colours.",
)
