"""Superpixels grouped by normalised cuts of their region adjacency graph.

Sources: Shi and Malik, "Normalized cuts and image segmentation", IEEE Trans. Pattern Analysis and Machine Intelligence
22(8), 2000, doi:10.1109/34.868688: (D - W) y = lambda D y, here solved densely for a few hundred superpixels; several
groups are computed from the eigenvectors' rows, each normalised to length 1, by k-means as in Ng, Jordan and Weiss, "On
spectral clustering", NIPS 2001.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from engine.core.parameters import number
from engine.labelling.base import Method
from engine.labelling.cues.features import kmeans
from engine.labelling.cues.foreground import RegionParams, choose
from engine.labelling.cues.refine import guided_filter
from engine.labelling.cues.robust_background import distances
from engine.labelling.cues.superpixels import Superpixels, find_superpixels


class NormalisedCutParams(RegionParams):
    superpixels: int = number(250, 20, 600, "Number of superpixels into which the image is divided first.")
    groups: int = number(
        10,
        2,
        24,
        "Number of groups of superpixels. Two more and two fewer are computed too, and the results are averaged.",
    )
    colour_sigma: float = number(
        10,
        1,
        60,
        "Colour difference that separates neighbours: small for faint objects, large for colourful ones.",
        unit="Lab units",
    )
    position_sigma: float = number(0.1, 0.03, 2, "Distance that separates superpixels.", unit="share of the image side")


def label(image: np.ndarray, params: NormalisedCutParams, rng: np.random.Generator) -> np.ndarray:
    """Return the share (H, W) in [0, 1] of groupings, one for each number of groups, in which a pixel is foreground."""
    superpixels = find_superpixels(image, params.superpixels)
    votes = group_votes(superpixels, params, rng)
    return guided_filter(image, votes.astype(np.float32)[superpixels.labels], 4, 0.1)


def group_votes(superpixels: Superpixels, params: NormalisedCutParams, rng: np.random.Generator) -> np.ndarray:
    """Return float64 (N,): the share in [0, 1] of groupings in which a superpixel is foreground."""
    counts = sorted({max(params.groups - 2, 2), params.groups, params.groups + 2})
    votes = np.zeros(len(superpixels.areas))
    if len(votes) <= counts[-1] or np.ptp(superpixels.colours, axis=0).max() < 1:
        return votes  # too few superpixels, or all of one colour
    embedding = eigenvectors(superpixels, counts[-1] - 1, params.colour_sigma, params.position_sigma)
    lightness = superpixels.colours[:, 0][superpixels.labels]
    for count in counts:
        groups = group(embedding[:, : count - 1], count, rng)
        votes += choose(groups[superpixels.labels], lightness, params.foreground)[groups]
    return votes / len(counts)


def eigenvectors(superpixels: Superpixels, count: int, colour_sigma: float, position_sigma: float) -> np.ndarray:
    """Return (N, count): solutions of (D - W) y = lambda D y from the second smallest on, for N superpixels.

    W is exp(-colour distance^2 / colour_sigma^2 - centre distance^2 / position_sigma^2) between neighbours and their
    neighbours, with a weak link between all others so that the graph is connected.
    """
    links = superpixels.within_two_steps + 1e-4
    colour, centre = distances(superpixels.colours), distances(superpixels.centres)
    weights = links * (np.exp(-((colour / colour_sigma) ** 2) - (centre / position_sigma) ** 2) + 1e-6)
    np.fill_diagonal(weights, 0)
    degrees = np.diag(weights.sum(1))
    return eigh(degrees - weights, degrees, subset_by_index=[1, count])[1]


def group(embedding: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return int (N,): the group 0..count-1 of each row (N, D) by k-means on the rows' directions."""
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    directions = (embedding / np.maximum(length, 1e-9)).astype(np.float32)
    return kmeans(directions, count, rng, iterations=50, epsilon=1e-4, attempts=4)[0]


METHOD = Method(
    "normalised_cut",
    "Normalised cut (superpixel graph)",
    NormalisedCutParams,
    label,
    summary="Objects of several colours that are connected and lie inside the frame.",
)
