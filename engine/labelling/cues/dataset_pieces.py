"""Division of an image into a few dozen pieces, and their features for clustering a whole dataset.

Superpixels are merged; each step merges the two neighbours whose union adds the least variance of colour (Ward,
"Hierarchical grouping to optimize an objective function", J. American Statistical Association 58(301), 1963,
doi:10.1080/01621459.1963.10500845). A small object of distinct colour becomes one piece, and so does a large even area.

All features are comparable between images of different sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from engine.labelling.base import shrink
from engine.labelling.cues.features import to_lab
from engine.labelling.cues.foreground import border_lengths
from engine.labelling.cues.robust_background import distances, saliency
from engine.labelling.cues.superpixels import Superpixels, describe, find_superpixels

SUPERPIXELS = 800
LEAST_PIECES, MOST_PIECES = 10, 250
SALIENCY_SIDE_PX = 200
SALIENCY_SUPERPIXELS = 250
CONTRAST_FLOOR = 2.0
"""Lab units: the contrast of an image that varies less than this is not amplified."""

GROUPS = {
    "colour": slice(0, 3),
    "contrast": slice(3, 9),
    "texture": slice(9, 14),
    "shape": slice(14, 17),
    "enclosure": slice(17, 20),
    "position": slice(20, 23),
}
"""Columns of the features by group; the parameters are weights of groups."""

WIDTH = 23


@dataclass(frozen=True)
class Pieces:
    """N pieces of an image (H, W)."""

    labels: np.ndarray
    """int32 (H, W), 0..N-1, each at least once."""
    features: np.ndarray
    """float32 (N, WIDTH): columns as in GROUPS."""
    areas: np.ndarray
    """float32 (N,): shares of the image."""
    border: np.ndarray
    """float32 (N,): shares of the image border."""
    centres: np.ndarray
    """float32 (N, 2): a row and a column inside the piece, each in [0, 1]."""
    tokens: np.ndarray | None = None
    """float16 (N, C): mean deep features, where pretrained weights are used."""


def find_pieces(image: np.ndarray, merging: float) -> Pieces:
    """Return the pieces of a uint8 RGB image (H, W, 3), LEAST_PIECES to MOST_PIECES if there are enough pixels.

    Neighbours are merged as long as that costs less than `merging` times the standard deviation of colour in the image:
    an image of many small objects has many pieces, one of few large surfaces has few.
    """
    lab = to_lab(image)
    superpixels = find_superpixels(image, SUPERPIXELS)
    owner = merge(superpixels, merging)
    pieces = describe(owner[superpixels.labels], lab)
    shared = shared_outline(pieces.labels, len(pieces.areas))
    sides = border_lengths(pieces.labels)
    outline = np.maximum(shared.sum(1) + sides, 1)
    features = np.column_stack(
        [
            pieces.colours,
            contrast(lab, pieces, shared),
            texture(lab, pieces),
            shape(pieces, outline),
            salience(image, pieces),
            np.log1p(np.bincount(owner, superpixels.areas * barriers(superpixels)) / pieces.areas),
            sides / outline,
            pieces.centres,
            np.minimum(pieces.centres, 1 - pieces.centres).min(1),
        ]
    )
    areas = (pieces.areas / pieces.labels.size).astype(np.float32)
    border = (sides / sides.sum()).astype(np.float32)
    return Pieces(pieces.labels, features.astype(np.float32), areas, border, inner_points(superpixels, owner, pieces))


def merge(superpixels: Superpixels, merging: float) -> np.ndarray:
    """Return int32 (N,): the piece of each of N superpixels; each piece is connected."""
    # Not above, because scikit-learn takes over a second to import and pages only need the parameters.
    from sklearn.cluster import ward_tree

    count = len(superpixels.areas)
    if count <= LEAST_PIECES:
        return np.arange(count, dtype=np.int32)
    links = csr_array(superpixels.neighbours).astype(np.int8)
    children, *_, costs = ward_tree(superpixels.colours, connectivity=links, return_distance=True)
    spread = max(float(np.linalg.norm(superpixels.colours.std(0))), CONTRAST_FLOOR)
    pieces = int(np.clip(np.count_nonzero(costs >= merging * spread) + 1, LEAST_PIECES, min(MOST_PIECES, count)))
    # Step i merges its two children into node count + i; nodes that no step has merged are pieces.
    top = np.arange(2 * count - pieces)
    for step in reversed(range(count - pieces)):
        top[children[step]] = top[count + step]
    return np.unique(top[:count], return_inverse=True)[1].astype(np.int32)


def inner_points(superpixels: Superpixels, owner: np.ndarray, pieces: Superpixels) -> np.ndarray:
    """Return float32 (N, 2): for each piece the centre of its most central superpixel."""
    away = ((superpixels.centres - pieces.centres[owner]) ** 2).sum(1)
    order = np.lexsort((away, owner))
    return superpixels.centres[order[np.unique(owner[order], return_index=True)[1]]]


def contrast(lab: np.ndarray, pieces: Superpixels, shared: np.ndarray) -> np.ndarray:
    """Return (N, 6): Lab relative to the neighbours, by shared outline, and to the image's median, standardised."""
    around = (shared @ pieces.colours) / np.maximum(shared.sum(1, keepdims=True), 1)
    around[shared.sum(1) == 0] = pieces.colours[shared.sum(1) == 0]
    pixels = lab.reshape(-1, 3)
    spread = np.maximum(pixels.std(0), CONTRAST_FLOOR)
    return np.column_stack([pieces.colours - around, (pieces.colours - np.median(pixels, axis=0)) / spread])


def texture(lab: np.ndarray, pieces: Superpixels) -> np.ndarray:
    """Return (N, 5): logarithms of mean gradient, fine and coarse local contrast, spread of lightness and of colour."""
    lightness = np.ascontiguousarray(lab[..., 0])
    fine, coarse = cv2.GaussianBlur(lightness, (0, 0), 1.5), cv2.GaussianBlur(lightness, (0, 0), 5)
    gradient = cv2.magnitude(cv2.Sobel(lightness, cv2.CV_32F, 1, 0), cv2.Sobel(lightness, cv2.CV_32F, 0, 1)) / 8
    means = [piece_means(each, pieces) for each in (gradient, np.abs(lightness - fine), np.abs(fine - coarse))]
    squares = np.stack([piece_means(channel, pieces) for channel in np.moveaxis(lab**2, 2, 0)], axis=1)
    spread = np.sqrt(np.maximum(squares - pieces.colours.astype(np.float64) ** 2, 0))
    return np.log1p(np.column_stack([*means, spread[:, 0], np.hypot(spread[:, 1], spread[:, 2])]))


def shape(pieces: Superpixels, outline: np.ndarray) -> np.ndarray:
    """Return (N, 3): logarithms of the share of the image, of similarity to an ellipse, and of compactness.

    The similarity is the area over that of the ellipse with the same second moments, the compactness is 4 pi area over
    the square of the outline: their logarithms are 0 for a disc and negative for ragged, hollow or thin shapes.
    """
    height, width = pieces.labels.shape
    rows = np.repeat(np.arange(height, dtype=np.float64), width).reshape(height, width)
    columns = np.tile(np.arange(width, dtype=np.float64), height).reshape(height, width)
    row, column = piece_means(rows, pieces), piece_means(columns, pieces)
    # A pixel is a square of side 1, with a variance of 1/12.
    row_variance = piece_means(rows**2, pieces) - row**2 + 1 / 12
    column_variance = piece_means(columns**2, pieces) - column**2 + 1 / 12
    covariance = piece_means(rows * columns, pieces) - row * column
    ellipse = 4 * np.pi * np.sqrt(np.maximum(row_variance * column_variance - covariance**2, 1 / 144))
    compactness = 4 * np.pi * pieces.areas / outline**2
    return np.log(np.column_stack([pieces.areas / pieces.labels.size, pieces.areas / ellipse, compactness]))


def salience(image: np.ndarray, pieces: Superpixels) -> np.ndarray:
    """Return float64 (N,) in [0, 1]: mean saliency by robust background detection, computed at a small size."""
    small = find_superpixels(shrink(image, SALIENCY_SIDE_PX), SALIENCY_SUPERPIXELS)
    salient = saliency(small).astype(np.float32)[small.labels]
    height, width = pieces.labels.shape
    salient = cv2.resize(salient, (width, height), interpolation=cv2.INTER_LINEAR)
    return piece_means(salient / max(float(salient.max()), 1e-6), pieces)


def barriers(superpixels: Superpixels) -> np.ndarray:
    """Return float64 (N,): the largest colour step on the minimax path to the image border.

    It corresponds to the minimum barrier distance on a graph: high for what an outline encloses on all sides.
    """
    n = len(superpixels.areas)
    rows, columns = np.nonzero(np.triu(superpixels.neighbours))
    # A step of 0 would count as no link.
    steps = distances(superpixels.colours)[rows, columns] + 1e-6
    outer = np.flatnonzero(superpixels.at_border)
    rows, columns = np.concatenate([rows, outer]), np.concatenate([columns, np.full(len(outer), n)])
    graph = csr_array((np.concatenate([steps, np.full(len(outer), 1e-6)]), (rows, columns)), shape=(n + 1, n + 1))
    # Paths in the minimum spanning tree are minimax paths.
    tree = minimum_spanning_tree(graph)
    order, before = breadth_first_order(tree, n, directed=False)
    tree = (tree + tree.T).tocsr()
    step = np.zeros(n + 1)
    step[order[1:]] = np.asarray(tree[order[1:], before[order[1:]]]).ravel()
    barrier = np.zeros(n + 1)
    for node in order[1:]:
        barrier[node] = max(barrier[before[node]], step[node])
    return barrier[:n]


def shared_outline(labels: np.ndarray, count: int) -> np.ndarray:
    """Return float64 (count, count): the number of pixel sides that two pieces of `labels` (H, W) share; diagonal 0."""
    first = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()]).astype(np.int64)
    second = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
    differ = first != second
    pairs = np.bincount(first[differ] * count + second[differ], minlength=count * count).reshape(count, count)
    return (pairs + pairs.T).astype(np.float64)


def piece_means(values: np.ndarray, pieces: Superpixels) -> np.ndarray:
    """Return float64 (N,): the mean of (H, W) over each piece."""
    return np.bincount(pieces.labels.ravel(), values.ravel(), minlength=len(pieces.areas)) / pieces.areas
