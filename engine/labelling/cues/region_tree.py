"""Superpixels merged step by step into ever larger regions, and what these regions say about the object.

Source: Ward, "Hierarchical grouping to optimize an objective function", J. American Statistical Association 58, 1963,
doi:10.1080/01621459.1963.10500845: of all neighbours those two are merged that raise the variance within least.
"""

from __future__ import annotations

import heapq

import numpy as np

from engine.labelling.cues.foreground import choose
from engine.labelling.cues.superpixels import Superpixels

COUNTS = (6, 9, 13, 18)
"""Into how many regions the tree is cut; each cut has one vote."""


def region_votes(superpixels: Superpixels, counts: tuple[int, ...] = COUNTS) -> np.ndarray:
    """Return float64 (N,): the share in [0, 1] of cuts in which a superpixel's region hardly touches the border."""
    n = len(superpixels.areas)
    merges = merge_order(superpixels)
    lightness = superpixels.colours[:, 0][superpixels.labels]
    votes = np.zeros(n)
    for count in counts:
        regions = cut(merges, n, count)
        votes += choose(regions[superpixels.labels], lightness, "border_contact")[regions]
    return votes / len(counts)


def merge_order(superpixels: Superpixels) -> list[tuple[int, int]]:
    """Return the pairs in the order they are merged: the i-th makes region N + i of two of the regions before it."""
    n = len(superpixels.areas)
    colours = np.concatenate([superpixels.colours, np.zeros_like(superpixels.colours)]).astype(np.float64)
    areas = np.concatenate([superpixels.areas, np.zeros(n)])
    neighbours = [set(np.flatnonzero(row).tolist()) for row in superpixels.neighbours]
    first, second = np.nonzero(np.triu(superpixels.neighbours))
    queue = list(zip(_costs(colours, areas, first, second).tolist(), first.tolist(), second.tolist(), strict=True))
    heapq.heapify(queue)
    merges: list[tuple[int, int]] = []
    gone: set[int] = set()
    while queue:
        _, a, b = heapq.heappop(queue)
        if a in gone or b in gone:
            continue
        gone |= {a, b}
        new = n + len(merges)
        merges.append((a, b))
        areas[new] = areas[a] + areas[b]
        colours[new] = (colours[a] * areas[a] + colours[b] * areas[b]) / areas[new]
        neighbours.append((neighbours[a] | neighbours[b]) - {a, b})
        beside = list(neighbours[new])
        for other, cost in zip(beside, _costs(colours, areas, new, beside).tolist(), strict=True):
            neighbours[other] -= {a, b}
            neighbours[other].add(new)
            heapq.heappush(queue, (cost, other, new))
    return merges


def cut(merges: list[tuple[int, int]], n: int, count: int) -> np.ndarray:
    """Return int (N,): the region 0..count-1 of each superpixel when merging stops at `count` regions."""
    region = np.arange(n + len(merges))
    for index in range(max(n - count, 0)):
        region[list(merges[index])] = n + index
    for node in range(len(region) - 1, -1, -1):
        region[node] = region[region[node]]
    return np.unique(region[:n], return_inverse=True)[1]


def _costs(colours: np.ndarray, areas: np.ndarray, first, second) -> np.ndarray:
    """Return by how much the variance within rises when each of `first` joins each of `second`."""
    weight = areas[first] * areas[second] / (areas[first] + areas[second])
    return weight * ((colours[first] - colours[second]) ** 2).sum(-1)
