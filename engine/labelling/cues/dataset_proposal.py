"""Proposal of the clusters of a dataset that are foreground, without truth.

It uses four cues for each image: saliency, distance from the median colour, the smaller of two classes of colour, and
a small share of the image border. Each cue has errors, but these differ between images, while a cluster is the same
kind of object in all of them. So the mean over the dataset is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.labelling.cues.dataset_pieces import GROUPS, Pieces

LEAST_VOTE = 0.45
"""Mean of the cues above which a cluster is proposed (chosen on the even files of ecssd and nuclei)."""


def propose(looks: Sequence[Pieces], owner: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bool (count,), the clusters proposed as foreground, and float64 (count,), the mean of the cues in [0, 1].

    `owner` (N,) is the cluster of each piece, over all looks. Never all are proposed; none if nothing differs.
    """
    proposed = np.zeros(count, bool)
    if count < 2:
        return proposed, np.zeros(count)
    areas = np.concatenate([each.areas for each in looks]).astype(np.float64)
    border = np.concatenate([each.border for each in looks]).astype(np.float64)
    votes = np.concatenate([image_votes(each) for each in looks])
    area = np.maximum(np.bincount(owner, areas, minlength=count), 1e-12)
    freedom = np.clip(1 - np.bincount(owner, border, minlength=count) / area, 0, 1)
    mean = (np.bincount(owner, areas * votes.sum(1), minlength=count) / area + freedom) / (votes.shape[1] + 1)
    proposed[mean > LEAST_VOTE] = True
    if proposed.all():
        proposed[mean.argmin()] = False
    if not proposed.any() and votes.any():
        proposed[mean.argmax()] = True
    return proposed, mean


def image_votes(pieces: Pieces) -> np.ndarray:
    """Return float64 (N, 3), 0 or 1: a piece is salient, far from the median colour, in the smaller class of colour."""
    areas = pieces.areas.astype(np.float64)
    colours = pieces.features[:, GROUPS["colour"]].astype(np.float64)
    if len(areas) < 2 or np.ptp(colours, axis=0).max() < 1:
        return np.zeros((len(areas), 3))
    salience = pieces.features[:, GROUPS["enclosure"]][:, 0].astype(np.float64)
    departure = np.linalg.norm(pieces.features[:, GROUPS["contrast"]][:, 3:].astype(np.float64), axis=1)
    centred = colours - np.average(colours, axis=0, weights=areas)
    main = centred @ np.linalg.svd(centred * np.sqrt(areas)[:, None], full_matrices=False)[2][0]
    side = above_otsu(main, areas)
    if areas[side].sum() > areas.sum() / 2:
        side = ~side
    return np.column_stack([above_otsu(salience, areas), above_otsu(departure, areas), side]).astype(np.float64)


def above_otsu(values: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Return bool (N,): the values above Otsu's threshold, weighted by area."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(areas[order])[:-1] / areas.sum()
    sums = np.cumsum((areas * values)[order]) / areas.sum()
    variance = (sums[-1] * below - sums[:-1]) ** 2 / np.maximum(below * (1 - below), 1e-12)
    return values > values[order[int(variance.argmax())]]
