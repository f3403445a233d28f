"""The minimum barrier distance of each superpixel to the image border: low for background, high for salient objects.

Source: Strand, Ciesielski, Malmberg and Saha, "The minimum barrier distance", Computer Vision and Image Understanding
117(4), 2013, doi:10.1016/j.cviu.2012.10.014. The barrier of a path is the difference between the largest and the
smallest value on it. It is approximated by best-first search on the superpixel graph, one channel at a time, which may
miss the best path, as may the raster scans of other implementations.
"""

from __future__ import annotations

import heapq

import numpy as np

from engine.labelling.cues.superpixels import Superpixels


def barrier_distance(superpixels: Superpixels) -> np.ndarray:
    """Return float64 (N,): the barrier to the border in units of the colours, summed over the channels."""
    neighbours = [np.flatnonzero(row).tolist() for row in superpixels.neighbours]
    border = np.flatnonzero(superpixels.at_border).tolist()
    channels = superpixels.colours.T.astype(np.float64)
    return np.sum([_barriers(channel.tolist(), neighbours, border) for channel in channels], axis=0)


def _barriers(values: list[float], neighbours: list[list[int]], border: list[int]) -> np.ndarray:
    barrier = [np.inf] * len(values)
    done = [False] * len(values)
    for node in border:
        barrier[node] = 0.0
    highest, lowest = values[:], values[:]
    queue = [(0.0, node) for node in border]
    while queue:
        _, node = heapq.heappop(queue)
        if done[node]:
            continue
        done[node] = True
        top, bottom = highest[node], lowest[node]
        for other in neighbours[node]:
            if done[other]:
                continue
            value = values[other]
            high, low = max(top, value), min(bottom, value)
            if high - low < barrier[other]:
                barrier[other], highest[other], lowest[other] = high - low, high, low
                heapq.heappush(queue, (high - low, other))
    # Every superpixel is reached: every image has a border, and the graph is connected.
    return np.asarray(barrier)
