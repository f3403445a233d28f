"""Clustering of the pieces of a whole dataset, so that a cluster has the same meaning in every image.

Each image is divided into pieces (dataset_pieces.py), and the pieces of all images into clusters (dataset_mixture.py).
The user ticks the clusters that are foreground, or of a class, starting from a proposal made without truth
(dataset_proposal.py). With pretrained weights, pieces also differ by the main axes of their deep features (Pearson, "On
lines and planes of closest fit to systems of points in space", Philosophical Magazine 2(11), 1901,
doi:10.1080/14786440109462720).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from engine.core.parameters import ParameterError, number
from engine.core.recent_values import RecentValues
from engine.labelling.base import LabelParams, Method
from engine.labelling.cues.activations import BackboneError, digest
from engine.labelling.cues.dataset_mixture import Mixture, find_mixture
from engine.labelling.cues.dataset_pieces import GROUPS, Pieces, find_pieces
from engine.labelling.cues.dataset_proposal import propose
from engine.labelling.cues.refine import guided_filter
from engine.labelling.cues.tokens import find_tokens
from engine.labelling.strokes.backbones import backbone_of
from engine.labelling.strokes.features import RegionMeans
from engine.labelling.ticks import Ticks, read_ticks

SAMPLE_PIECES = 8000
EXAMPLES = 6
REMEMBERED_BYTES = 32_000_000
_recent: RecentValues[Pieces] = RecentValues(REMEMBERED_BYTES)
DEEP_AXES = 8
"""Main axes of the deep features of all pieces that count; 16 were no better."""

EDGE_CONTRAST = 0.1
"""A share of full contrast: the step in the image from which the guided filter preserves an edge."""


class DatasetClustersParams(LabelParams):
    merging: float = number(
        1.5,
        0.3,
        6,
        "Largest difference of neighbours that are merged into one piece, as a multiple of how much colours vary in "
        "the image: lower values give more and smaller pieces.",
        title="Merge similar neighbours",
        stage="look",
    )
    clusters: int = number(
        32, 2, 128, "Number of clusters in the whole dataset; more if scenes or objects vary.", stage="fit"
    )
    model: Literal["gaussian_mixture", "kmeans"] = Field(
        "gaussian_mixture",
        description="Gaussian mixture: each cluster has its own variance; k-means: round clusters of the same size.",
        json_schema_extra={"stage": "fit"},
    )
    colour_weight: float = number(
        1.0, 0, 2, "Weight of the colour of a piece; 0 if objects can have any colour.", stage="fit"
    )
    contrast_weight: float = number(
        1.0, 0, 2, "Weight of the difference from neighbouring pieces and from the rest of the image.", stage="fit"
    )
    texture_weight: float = number(
        0.3, 0, 2, "Weight of texture: roughness and variation of colour within a piece.", stage="fit"
    )
    shape_weight: float = number(0.3, 0, 2, "Weight of size, similarity to an ellipse and compactness.", stage="fit")
    enclosure_weight: float = number(
        1.0, 0, 2, "Weight of saliency and of being enclosed rather than connected to the image border.", stage="fit"
    )
    position_weight: float = number(
        0.5,
        0,
        2,
        "Weight of the position in the image; 0 if objects can be anywhere, more for a fixed camera.",
        stage="fit",
    )
    deep_weight: float = number(
        0.0,
        0,
        2,
        "Weight of deep features, such as 0.5; 0 uses no pretrained weights. Masks that they help name the weights.",
        stage="look",
    )
    backbone: str = Field(
        "",
        max_length=1000,
        pattern=r"^[^\x00-\x1f]*$",
        description="An ONNX file for deep features; empty for the MobileNetV2 of this installation.",
        json_schema_extra={"stage": "look"},
    )
    ticked: Ticks = Field(
        "",
        description="Numbers of the clusters that are foreground, such as `2 5 7`, or `2 5=2` where 5 is of class 2, "
        "or `none`; if empty, the proposal.",
    )
    filter_radius_px: int = number(
        4,
        0,
        40,
        "How far the guided filter moves outlines to edges of the image; 0 keeps the outlines of the pieces.",
        unit="px",
    )

    @property
    def classes(self) -> int:
        return max(read_ticks(self.ticked).values(), default=1)


def look(image: np.ndarray, params: DatasetClustersParams, rng: np.random.Generator) -> Pieces:
    """Return the pieces of a uint8 RGB image (H, W, 3), without their label image, which `fit` does not need.

    Raises:
        BackboneError: deep features are to count, and there is no ONNX file, or it cannot describe images.
    """
    return replace(remembered_pieces(image, params), labels=np.zeros((0, 0), np.int32))


def fit(looks: Sequence[Pieces], params: DatasetClustersParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return the clusters of the pieces of all images, largest first, as JSON.

    Keys: `clusters` (a list of share of the area, whether proposed as foreground, the mean of the cues for that in
    [0, 1], mean Lab, and examples as index of the look, row and column in [0, 1]), `images` (their number) and
    `mixture` (for `label`); with deep features also their `mean` and `axes`, and `backbone`, the SHA-256 of the ONNX
    file.
    """
    deep = deep_axes(looks, params)
    features = np.concatenate([described(each, deep) for each in looks])
    weights = np.full(features.shape[1], params.deep_weight)
    for name, columns in GROUPS.items():
        weights[columns] = getattr(params, f"{name}_weight")
    if not weights.any():
        weights[:] = 1  # all weights 0 is treated like all weights 1
    areas = np.concatenate([each.areas for each in looks]).astype(np.float64)
    mixture = find_mixture(sample(features, areas, rng), weights, params.clusters, params.model, rng)
    owner = mixture.log_densities(features).argmax(1)
    order = np.argsort(-np.bincount(owner, areas, minlength=len(mixture.shares)), kind="stable")
    order = order[np.bincount(owner, minlength=len(order))[order] > 0]
    mixture = mixture.ordered(order)
    densities = mixture.log_densities(features)
    owner = densities.argmax(1)
    proposed, votes = propose(looks, owner, len(order))
    return {
        "clusters": [
            {
                "share": round(float(areas[owner == number].sum()) / len(looks), 6),
                "proposed": bool(proposed[number]),
                "vote": round(float(votes[number]), 4),
                "lab": mean_colour(features, areas, owner == number),
                "examples": examples(looks, np.flatnonzero(owner == number), densities[:, number]),
            }
            for number in range(len(order))
        ],
        "images": len(looks),
        "mixture": mixture.as_json(),
    } | deep


def deep_axes(looks: Sequence[Pieces], params: DatasetClustersParams) -> dict[str, Any]:
    """Return mean and main axes of the deep features of all pieces as JSON, and their ONNX file; empty without."""
    if not params.deep_weight:
        return {}
    # Image by image: all tokens together as float64 would be the most memory that a label job needs
    tokens = [each.tokens for each in looks if each.tokens is not None]
    mean = np.sum([each.sum(0, np.float64) for each in tokens], axis=0) / sum(map(len, tokens))
    spread = np.zeros((len(mean), len(mean)))
    for each in tokens:
        spread += (each - mean).T @ (each - mean)
    axes = np.linalg.eigh(spread)[1][:, : -DEEP_AXES - 1 : -1].T
    numbers = {"mean": mean.round(6).tolist(), "axes": axes.round(6).tolist()}
    return numbers | {"backbone": digest(_backbone(params))}


def described(pieces: Pieces, state: dict[str, Any]) -> np.ndarray:
    """Return float32 (N, D): the features of pieces, and what the axes in a state say of their deep features."""
    if pieces.tokens is None:
        return pieces.features
    deep = (pieces.tokens - np.array(state["mean"], np.float32)) @ np.array(state["axes"], np.float32).T
    return np.concatenate([pieces.features, deep], axis=1, dtype=np.float32)


def sample(features: np.ndarray, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows (S, D), sampled by the root of their area: a compromise between equal objects and equal pixels."""
    chance = np.sqrt(areas)
    count = min(SAMPLE_PIECES, 4 * len(features))
    return features[rng.choice(len(features), count, p=chance / chance.sum())]


def mean_colour(features: np.ndarray, areas: np.ndarray, members: np.ndarray) -> list[float]:
    """Return the mean Lab of the members, weighted by area."""
    if not members.any():
        return [0.0, 0.0, 0.0]
    colour = np.average(features[members][:, GROUPS["colour"]], axis=0, weights=areas[members])
    return [round(float(value), 2) for value in colour]


def examples(looks: Sequence[Pieces], members: np.ndarray, density: np.ndarray) -> list[list[float]]:
    """Return [look index, row, column] of up to EXAMPLES typical members, from different images where possible."""
    image = np.repeat(np.arange(len(looks)), [len(each.areas) for each in looks])
    centre = np.concatenate([each.centres for each in looks])
    typical = members[np.argsort(-density[members], kind="stable")]
    first = np.sort(np.unique(image[typical], return_index=True)[1])
    rest = np.setdiff1d(np.arange(len(typical)), first)
    chosen = typical[np.concatenate([first, rest])[:EXAMPLES]]
    return [[int(image[each]), *(round(float(value), 4) for value in centre[each])] for each in chosen]


def label(
    image: np.ndarray, params: DatasetClustersParams, rng: np.random.Generator, state: dict[str, Any]
) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel's piece belongs to a ticked cluster.

    If clusters are ticked as several classes, it is (H, W, K), of each.

    Raises:
        BackboneError: deep features count, and the ONNX file is missing, or another one than was fitted with.
    """
    classes = ticked_clusters(params.ticked, state)
    if not classes.any() or np.ptp(image.reshape(-1, 3), axis=0).max() == 0:
        return np.zeros(image.shape[:2], np.float32)  # an image of one colour has no foreground
    pieces, membership = memberships(image, params, state)
    found = []
    for index in range(1, params.classes + 1):
        probability = np.clip(membership[:, classes == index].sum(1), 0, 1).astype(np.float32)[pieces.labels]
        if params.filter_radius_px:
            probability = guided_filter(image, probability, params.filter_radius_px, EDGE_CONTRAST)
        found.append(probability)
    return np.dstack(found)


def clusters(
    image: np.ndarray, params: DatasetClustersParams, rng: np.random.Generator, state: dict[str, Any]
) -> np.ndarray:
    """Return the most likely cluster of each pixel (H, W)."""
    pieces, membership = memberships(image, params, state)
    return membership.argmax(1)[pieces.labels]


def memberships(image: np.ndarray, params: DatasetClustersParams, state: dict[str, Any]) -> tuple[Pieces, np.ndarray]:
    """Return the pieces of an image and float64 (N, K), their membership in each cluster of a state."""
    if params.deep_weight and digest(_backbone(params)) != state["backbone"]:
        raise BackboneError("The ONNX file has changed since the clusters were fitted. Make a new mask set.")
    pieces = remembered_pieces(image, params)
    return pieces, Mixture.from_json(state["mixture"]).membership(described(pieces, state))


def remembered_pieces(image: np.ndarray, params: DatasetClustersParams) -> Pieces:
    """Return the pieces of an image; those of recent images are remembered, because ticking changes nothing in them."""
    backbone = _backbone(params) if params.deep_weight else None
    content = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
    key = content, image.shape, params.merging, digest(backbone) if backbone else ""
    pieces = _recent.get(key)
    if pieces is None:
        pieces = find_pieces(image, params.merging)
        if backbone:
            tokens = RegionMeans(pieces.labels).of(find_tokens(image, backbone)).astype(np.float16)
            pieces = replace(pieces, tokens=tokens)
        arrays = pieces.labels, pieces.features, *([] if pieces.tokens is None else [pieces.tokens])
        _recent.keep(key, pieces, sum(each.nbytes for each in arrays))
    return pieces


def look_depends_on(params: DatasetClustersParams) -> str:
    """Return the digest of the ONNX file for deep features; empty if they do not count or there is none."""
    backbone = backbone_of(params.backbone) if params.deep_weight else None
    return digest(backbone) if backbone else ""


def _backbone(params: DatasetClustersParams) -> Path:
    backbone = backbone_of(params.backbone)
    if backbone is None:
        raise BackboneError(
            "Deep features need pretrained weights. Get them by 'maskloom weights get', name an ONNX file as "
            "'backbone', or set 'deep_weight' to 0."
        )
    return backbone


def ticked_clusters(ticked: str, state: dict[str, Any]) -> np.ndarray:
    """Return int (N,): the class of each cluster listed in `ticked`, 0 for others; of the proposal if it is empty.

    Raises:
        ParameterError: `ticked` lists a cluster that does not exist.
    """
    clusters = state["clusters"]
    if not ticked.strip():
        return np.array([int(cluster["proposed"]) for cluster in clusters])
    chosen = np.zeros(len(clusters), int)
    for cluster, index in read_ticks(ticked).items():
        if cluster >= len(clusters):
            raise ParameterError(f"'ticked' names cluster {cluster}. There are 0 to {len(clusters) - 1}.")
        chosen[cluster] = index
    return chosen


METHOD = Method(
    "dataset_clusters",
    "Dataset clusters (you tick the foreground)",
    DatasetClustersParams,
    label,
    look,
    fit,
    look_depends_on=look_depends_on,
    clusters=clusters,
    summary="Datasets of similar scenes, with many or few objects: one tick per cluster applies to every image.",
)
