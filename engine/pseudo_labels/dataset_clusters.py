"""One clustering of the superpixels of a whole dataset: cluster 3 means the same in every image.

A person ticks the clusters that are foreground; a proposal, made without truth, is ticked already.

Sources: Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory 28(2), 1982,
doi:10.1109/TIT.1982.1056489, started as in Arthur and Vassilvitskii, "k-means++", SODA 2007; Dempster, Laird and Rubin,
"Maximum likelihood from incomplete data via the EM algorithm", J. Royal Statistical Society B 39(1), 1977,
doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import Field
from scipy.special import softmax

from engine.parameters import ParameterError
from engine.pseudo_labels.base import LabelParams, Method
from engine.pseudo_labels.dataset_features import GROUPS, WIDTH, Look, look_at_superpixels, superpixel_features
from engine.pseudo_labels.features import squared_distances, to_lab
from engine.pseudo_labels.refine import guided_filter
from engine.pseudo_labels.superpixels import find_superpixels

SAMPLE_SUPERPIXELS = 20_000
"""Clusters are found on at most this many superpixels, then given to all."""

EXAMPLES = 6


class DatasetClustersParams(LabelParams):
    superpixels: int = Field(
        400,
        ge=50,
        le=1000,
        description="How many pieces an image is cut into: more of them follow small and thin objects.",
        json_schema_extra={"stage": "look"},
    )
    model: Literal["kmeans", "gaussian_mixture"] = Field(
        "kmeans",
        description="How pieces are grouped: round groups of like spread, or Gaussians each with a spread of its own.",
        json_schema_extra={"stage": "fit"},
    )
    clusters: int = Field(
        12,
        ge=2,
        le=32,
        description="How many kinds of surface to tell apart in the whole dataset.",
        json_schema_extra={"stage": "fit"},
    )
    texture_weight: float = Field(
        0.5,
        ge=0,
        le=3,
        description="What texture counts beside colour, which counts 1; 0 leaves it out.",
        json_schema_extra={"stage": "fit"},
    )
    surroundings_weight: float = Field(
        0.5,
        ge=0,
        le=3,
        description="What the difference to the surroundings counts beside colour; 0 leaves it out.",
        json_schema_extra={"stage": "fit"},
    )
    position_weight: float = Field(
        0.3,
        ge=0,
        le=3,
        description="What the place in the image counts beside colour; 0 suits objects that lie anywhere.",
        json_schema_extra={"stage": "fit"},
    )
    ticked: str = Field(
        "",
        max_length=200,
        pattern=r"^(none|[0-9 ]*)$",
        description="Numbers of the clusters that are foreground, like `2 5 7`; empty takes the proposal.",
    )
    filter_radius_px: int = Field(
        6,
        ge=0,
        le=40,
        description="How far the guided filter moves outlines to edges of the image; 0 leaves the pieces' outlines.",
        json_schema_extra={"unit": "px"},
    )


def look(image: np.ndarray, params: DatasetClustersParams, rng: np.random.Generator) -> Look:
    """Return the superpixels of a uint8 RGB image (H, W, 3) as the clustering sees them."""
    return look_at_superpixels(image, params.superpixels)


def fit(looks: Sequence[Look], params: DatasetClustersParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return the clusters of the superpixels of all images, largest first, as JSON.

    Keys: `clusters` (share of the area, whether proposed as foreground, mean Lab, examples as image, row, column),
    and what `label` needs: `shift` and `scale` (WIDTH,), `centres` (K, WIDTH) and `variance` of the scaled features.
    """
    features = np.concatenate([each.features for each in looks])
    shift, scale = scaling(features, params)
    scaled = (features - shift) * scale
    centres = find_centres(scaled, params, rng)
    distances = squared_distances(scaled, centres)
    owner = distances.argmin(1)
    areas = np.concatenate([each.areas for each in looks]).astype(np.float64) / len(looks)
    shares = np.bincount(owner, areas, minlength=len(centres))
    order = np.argsort(-shares, kind="stable")
    order = order[shares[order] > 0]
    rank = np.zeros(len(centres), int)
    rank[order] = np.arange(len(order))
    owner = rank[owner]
    centres, distances = centres[order], distances[:, order]
    proposed = propose(looks, owner, len(order))
    colours = np.stack([np.bincount(owner, areas * column) for column in features[:, :3].T], axis=1)
    colours /= shares[order, None]
    variance = max(float(distances.min(1).mean()) / np.count_nonzero(scale), 1e-3)
    image = np.repeat(np.arange(len(looks)), [len(each.areas) for each in looks])
    centre = np.concatenate([each.centres for each in looks])
    return {
        "clusters": [
            {
                "share": round(float(shares[order[k]]), 6),
                "proposed": bool(proposed[k]),
                "lab": [round(float(value), 2) for value in colours[k]],
                "examples": examples(np.flatnonzero(owner == k), distances[:, k], image, centre),
            }
            for k in range(len(order))
        ],
        "images": len(looks),
        "shift": [float(value) for value in shift],
        "scale": [float(value) for value in scale],
        "centres": [[round(float(value), 5) for value in row] for row in centres],
        "variance": variance,
    }


def scaling(features: np.ndarray, params: DatasetClustersParams) -> tuple[np.ndarray, np.ndarray]:
    """Return shift and scale (WIDTH,) that give each group of features the variance of its weight, squared."""
    weights = {
        "colour": 1.0,
        "texture": params.texture_weight,
        "surroundings": params.surroundings_weight,
        "position": params.position_weight,
    }
    scale = np.zeros(WIDTH)
    spread = features.std(0, dtype=np.float64)
    for name, columns in GROUPS.items():
        width = columns.stop - columns.start
        scale[columns] = weights[name] / np.sqrt(width) / np.maximum(spread[columns], 1e-3)
    return features.mean(0, dtype=np.float64), scale


def find_centres(scaled: np.ndarray, params: DatasetClustersParams, rng: np.random.Generator) -> np.ndarray:
    """Return the centres (K, WIDTH) of at most `clusters` clusters; fewer where fewer superpixels differ."""
    count = len(scaled)
    sample = scaled[rng.choice(count, SAMPLE_SUPERPIXELS, replace=False)] if count > SAMPLE_SUPERPIXELS else scaled
    sample = np.ascontiguousarray(sample, np.float32)
    distinct = len(np.unique(sample.round(4), axis=0))
    if distinct == 1:
        return sample.mean(0, keepdims=True)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-3)
    # OpenCV draws from a generator of its own, one per thread; seeding it here makes the call repeatable.
    cv2.setRNGSeed(int(rng.integers(2**31)))
    return cv2.kmeans(sample, min(params.clusters, distinct), None, stop, 3, cv2.KMEANS_PP_CENTERS)[2]


def propose(looks: Sequence[Look], owner: np.ndarray, count: int) -> np.ndarray:
    """Return bool (count,): the clusters that hold little of the image borders for their area. Never all of them."""
    proposed = np.zeros(count, bool)
    if count < 2:
        return proposed
    area = np.bincount(owner, np.concatenate([each.areas for each in looks]).astype(np.float64), minlength=count)
    border = np.bincount(owner, np.concatenate([each.border for each in looks]).astype(np.float64), minlength=count)
    area, border = area / area.sum(), border / border.sum()
    order = np.argsort(border / area, kind="stable")
    inside, held = np.cumsum(area[order])[:-1], np.cumsum(border[order])[:-1]
    gap = (1 - held) / np.sqrt(1 - inside) - held / np.sqrt(inside)
    proposed[order[: int(gap.argmax()) + 1]] = True
    return proposed


def examples(members: np.ndarray, distance: np.ndarray, image: np.ndarray, centre: np.ndarray) -> list[list[float]]:
    """Return [look index, row, column] of up to EXAMPLES typical members, from as many images as there are."""
    typical = members[np.argsort(distance[members], kind="stable")]
    _, first = np.unique(image[typical], return_index=True)
    chosen = list(typical[np.sort(first)][:EXAMPLES])
    chosen += [member for member in typical if member not in chosen][: EXAMPLES - len(chosen)]
    return [[int(image[each]), *(round(float(value), 4) for value in centre[each])] for each in chosen]


def label(
    image: np.ndarray, params: DatasetClustersParams, rng: np.random.Generator, state: dict[str, Any]
) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel's superpixel belongs to a ticked cluster."""
    foreground = ticked_clusters(params.ticked, state)
    superpixels = find_superpixels(image, params.superpixels)
    if not foreground.any() or np.ptp(superpixels.colours, axis=0).max() < 1:
        return np.zeros(image.shape[:2], np.float32)  # an image of one colour has no foreground
    features = superpixel_features(to_lab(image), superpixels)
    scaled = (features - np.array(state["shift"])) * np.array(state["scale"])
    distances = squared_distances(scaled, np.array(state["centres"]))
    membership = softmax(-distances / (2 * state["variance"]), axis=1)
    probability = np.clip(membership[:, foreground].sum(1), 0, 1).astype(np.float32)[superpixels.labels]
    if not params.filter_radius_px:
        return probability
    return guided_filter(image, probability, params.filter_radius_px, 0.1)


def ticked_clusters(ticked: str, state: dict[str, Any]) -> np.ndarray:
    """Return bool (K,): the clusters that `ticked` names; the proposal where it is empty.

    Raises:
        ParameterError: `ticked` names a cluster that the state does not have.
    """
    clusters = state["clusters"]
    if not ticked.strip():
        return np.array([cluster["proposed"] for cluster in clusters])
    chosen = np.zeros(len(clusters), bool)
    for number in [] if ticked == "none" else [int(word) for word in ticked.split()]:
        if number >= len(clusters):
            raise ParameterError(f"'ticked' names cluster {number}. There are 0 to {len(clusters) - 1}.")
        chosen[number] = True
    return chosen


METHOD = Method(
    "dataset_clusters",
    "Dataset clusters (you tick the foreground)",
    DatasetClustersParams,
    label,
    look,
    fit,
    summary="Datasets of like scenes, with many or few objects: one tick per kind of surface serves every image.",
)
