"""Hierarchical merging of superpixels into regions, and a saliency cue from these regions.

Source: Ward, "Hierarchical grouping to optimize an objective function", J. American Statistical Association 58, 1963,
doi:10.1080/01621459.1963.10500845: the two neighbours are merged that increase the variance within regions least.
"""

from __future__ import annotations

import heapq

import numpy as np

from engine.labelling.cues.foreground import choose
from engine.labelling.cues.superpixels import Superpixels

COUNTS = (6, 9, 13, 18)
"""Numbers of regions into which the tree is cut; the result is the mean over the cuts."""


def region_votes(superpixels: Superpixels, counts: tuple[int, ...] = COUNTS) -> np.ndarray:
    """Return float64 (N,): the share in [0, 1] of cuts in which a superpixel's region has little border contact."""
    n = len(superpixels.areas)
    merges = merge_order(superpixels)
    lightness = superpixels.colours[:, 0][superpixels.labels]
    votes = np.zeros(n)
    for count in counts:
        regions = cut(merges, n, count)
        votes += choose(regions[superpixels.labels], lightness, "border_contact")[regions]
    return votes / len(counts)


def merge_order(superpixels: Superpixels) -> list[tuple[int, int]]:
    """Return the pairs in the order in which they are merged: the i-th pair becomes region N + i."""
    n = len(superpixels.areas)
    colours = np.concatenate([superpixels.colours, np.zeros_like(superpixels.colours)]).astype(np.float64)
    areas = np.concatenate([superpixels.areas, np.zeros(n)])
    neighbours = [set(np.flatnonzero(row).tolist()) for row in superpixels.neighbours]
    first, second = np.nonzero(np.triu(superpixels.neighbours))
    queue = list(zip(_costs(colours, areas, first, second).tolist(), first.tolist(), second.tolist(), strict=True))
    heapq.heapify(queue)
    merges: list[tuple[int, int]] = []
    merged: set[int] = set()
    while queue:
        _, a, b = heapq.heappop(queue)
        if a in merged or b in merged:
            continue
        merged |= {a, b}
        new = n + len(merges)
        merges.append((a, b))
        areas[new] = areas[a] + areas[b]
        colours[new] = (colours[a] * areas[a] + colours[b] * areas[b]) / areas[new]
        neighbours.append((neighbours[a] | neighbours[b]) - {a, b})
        around = list(neighbours[new])
        for other, cost in zip(around, _costs(colours, areas, new, around).tolist(), strict=True):
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
    """Return the increase of the variance within regions when each of `first` is merged with each of `second`."""
    weight = areas[first] * areas[second] / (areas[first] + areas[second])
    return weight * ((colours[first] - colours[second]) ** 2).sum(-1)
