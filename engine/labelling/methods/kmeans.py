"""K-means in Lab colour and position; the foreground is chosen among the clusters, by a rule or by ticks.

Source: Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory 28(2), 1982,
doi:10.1109/TIT.1982.1056489; initialised as in Arthur and Vassilvitskii, "k-means++", SODA 2007.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.special import softmax

from engine.core.parameters import ParameterError
from engine.labelling.base import Method
from engine.labelling.cues.features import ClusterParams, find_clusters, lab_and_position, squared_distances
from engine.labelling.cues.foreground import choose
from engine.labelling.ticks import Ticks, read_ticks


class KMeansParams(ClusterParams):
    ticked: Ticks = Field(
        "",
        description="Regions of each image, numbered from 0 for the darkest, that are foreground, such as `0 3`, or "
        "`0 3=2` where 3 is of class 2, or `none`; if empty, the rule of `foreground` chooses.",
    )

    @property
    def classes(self) -> int:
        return max(read_ticks(self.ticked).values(), default=1)


def label(image: np.ndarray, params: KMeansParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel belongs to a foreground cluster, or (H, W, K) of each class.

    Membership is soft: clusters are treated as round Gaussians with the mean variance.
    """
    features, centres, distances = _clustered(image, params, rng)
    regions = distances.argmin(1).reshape(image.shape[:2])
    variance = max(float(distances.min(1).mean()) / features.shape[1], 1e-3)
    membership = softmax(-distances / (2 * variance), axis=1)
    if params.ticked.strip():
        classes = ticked_regions(params, centres)
    else:
        classes = choose(regions, features[:, 0], params.foreground).astype(int)
    membership = membership[:, : len(classes)]
    shares = [membership[:, classes == index].sum(1) for index in range(1, params.classes + 1)]
    return np.clip(np.dstack(shares), 0, 1).reshape(*image.shape[:2], params.classes)


def clusters(image: np.ndarray, params: KMeansParams, rng: np.random.Generator) -> np.ndarray:
    """Return the region of each pixel (H, W), numbered from 0 for the darkest."""
    _, centres, distances = _clustered(image, params, rng)
    return np.argsort(np.argsort(centres[:, 0], kind="stable"))[distances.argmin(1)].reshape(image.shape[:2])


def _clustered(
    image: np.ndarray, params: KMeansParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the features (H*W, D), the centres of the clusters (N, D), and the squared distances (H*W, N)."""
    features = lab_and_position(image, params)
    _, centres = find_clusters(features, params.clusters, rng)
    return features, centres, squared_distances(features, centres)


def ticked_regions(params: KMeansParams, centres: np.ndarray) -> np.ndarray:
    """Return int (N,): the class of each of the regions with centres (N, 5) that is ticked, 0 for others.

    An image of one colour has no foreground, and one of few colours has fewer regions than `clusters`.

    Raises:
        ParameterError: `ticked` lists a region that no image has.
    """
    chosen = np.zeros(len(centres), int)
    order = np.argsort(centres[:, 0], kind="stable")
    for number, index in read_ticks(params.ticked).items():
        if number >= params.clusters:
            raise ParameterError(f"'ticked' names region {number}. There are 0 to {params.clusters - 1}.")
        if number < len(order) > 1:
            chosen[order[number]] = index
    return chosen


METHOD = Method(
    "kmeans",
    "K-means (colour and position)",
    KMeansParams,
    label,
    clusters=clusters,
    summary="Objects of a distinct colour on a background of few colours.",
)
