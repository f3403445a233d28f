"""Tokens, the places of a coarse grid over an image that activations of a network describe: cuts and regressions.

Sources: Wang et al., "Self-supervised transformers for unsupervised object discovery using normalized cut" (TokenCut),
CVPR 2022, doi:10.1109/CVPR52688.2022.01414; You, Wu and Jiang, "Learning accurate segmentation purely from
self-supervision" (Selfment: tokens are clustered again and again, here by the nearer of two centroids), 2026,
arXiv:2602.23759; Simeoni et al., "Unsupervised object localization: observing the background to discover objects"
(FOUND: a linear model on tokens learns coarse masks of all images), CVPR 2023, arXiv:2212.07834.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from scipy.linalg import eigh

from engine.labelling.cues.activations import activations

LEAST_SIDE_PX = 64
"""Shorter sides are enlarged to this, which every network takes."""

MOST_TOKENS = 1600
"""The graph of `token_cut` is dense: of a finer grid every second token is used, or fewer."""

WEAK_LINK = 1e-5
"""Weight between tokens that are not similar, as in TokenCut."""

PLACE_WEIGHT = 0.05
"""Of the position beside activations of length 1."""

RIDGE = 0.02
"""Penalty of the regression, as a share of the mean square of its columns."""


def find_tokens(image: np.ndarray, backbone: Path) -> np.ndarray:
    """Return float32 (h, w, C): the activations of the coarsest output for a uint8 RGB image, each of length 1.

    Raises:
        BackboneError: the file is missing or cannot describe images.
    """
    if min(image.shape[:2]) < LEAST_SIDE_PX:
        height, width = (max(side, LEAST_SIDE_PX) for side in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    found = min(reversed(activations(image, backbone)), key=lambda each: each.shape[0] * each.shape[1])
    return found / np.maximum(np.linalg.norm(found, axis=2, keepdims=True), 1e-6)


def token_cut(tokens: np.ndarray, similarity: float) -> np.ndarray:
    """Return bool (h, w): the side of the normalised cut of the tokens' graph with less contact to the border.

    Tokens are linked where their cosine exceeds `similarity`; the second smallest solution of (D - W) y = lambda D y
    is divided at its mean. TokenCut keeps the side with the greatest |y|; networks of convolutions need the border.
    """
    height, width = tokens.shape[:2]
    step = math.ceil(math.sqrt(height * width / MOST_TOKENS))
    used = tokens[::step, ::step].astype(np.float32)
    rows = used.reshape(-1, used.shape[2])
    if len(rows) < 3:
        return np.zeros((height, width), bool)
    weights = np.where(rows @ rows.T > similarity, 1.0, WEAK_LINK)
    degrees = np.diag(weights.sum(1))
    second = eigh(degrees - weights, degrees, subset_by_index=[1, 1])[1][:, 0]
    side = (second > second.mean()).reshape(used.shape[:2])
    border = np.concatenate([side[0], side[-1], side[:, 0], side[:, -1]]).mean()
    side = side if border < side.mean() else ~side
    return cv2.resize(side.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0


def reassign(tokens: np.ndarray, probability: np.ndarray, rounds: int) -> np.ndarray:
    """Return bool (h, w): the tokens nearer to the centroid of the foreground than to that of the background.

    The centroids are those of the tokens at both sides of a probability (h, w) of 0.5, and then of the last round.
    """
    rows, inside = tokens.reshape(-1, tokens.shape[2]), probability.ravel() > 0.5
    for _ in range(rounds):
        if inside.all() or not inside.any():
            break
        centroids = [rows[each].mean(0) for each in (inside, ~inside)]
        ours, theirs = (each / max(float(np.linalg.norm(each)), 1e-9) for each in centroids)
        inside = rows @ (ours - theirs) > 0
    return inside.reshape(tokens.shape[:2])


def describe(tokens: np.ndarray) -> np.ndarray:
    """Return float32 (h * w, D): each token, its difference from the mean of those at the border, its place, and 1."""
    height, width, _ = tokens.shape
    border = np.concatenate([tokens[0], tokens[-1], tokens[1:-1, 0], tokens[1:-1, -1]]).mean(0)
    row, column = np.meshgrid(*(2 * (np.arange(side) + 0.5) / side - 1 for side in (height, width)), indexing="ij")
    place = np.stack([column, row, column**2, row**2, np.maximum(abs(column), abs(row))], axis=2)
    parts = [tokens, tokens - border, PLACE_WEIGHT * place, np.ones((height, width, 1))]
    return np.concatenate(parts, axis=2).astype(np.float32).reshape(height * width, -1)


def regress(samples: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return float64 (D,): the ridge regression of targets (h, w) on described tokens (h, w, C), over all images."""
    squares = products = np.zeros(())
    for tokens, target in samples:
        rows = describe(tokens.astype(np.float32)).astype(np.float64)
        squares, products = squares + rows.T @ rows, products + rows.T @ target.ravel()
    penalty = np.full(len(squares), RIDGE * np.trace(squares) / len(squares))
    penalty[-1] = 1e-6  # of the constant: none, but an image of one token must not be singular
    return np.linalg.solve(squares + np.diag(penalty), products)
