"""Superpixels of an image with their colours, positions and neighbours.

Source: Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE Trans. Pattern
Analysis and Machine Intelligence 34(11), 2012, doi:10.1109/TPAMI.2012.120 (SLICO, the variant without compactness).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engine.labelling.cues.features import to_lab

ITERATIONS = 6
"""Iterations of SLICO; more take time and hardly change the borders."""


@dataclass(frozen=True)
class Superpixels:
    """N superpixels of an image (H, W)."""

    labels: np.ndarray
    """int32 (H, W), 0..N-1, each at least once."""
    colours: np.ndarray
    """float32 (N, C): the mean of each channel; the first three are CIE Lab."""
    centres: np.ndarray
    """float32 (N, 2): mean row and column, each in [0, 1]."""
    areas: np.ndarray
    """float64 (N,): size in pixels."""
    neighbours: np.ndarray
    """bool (N, N): symmetric, True where two different superpixels touch."""
    at_border: np.ndarray
    """bool (N,): True where a superpixel touches the image border."""

    @property
    def within_two_steps(self) -> np.ndarray:
        """bool (N, N): True for neighbours, neighbours of neighbours, and the superpixel itself."""
        near = self.neighbours.astype(np.float32)
        return near + near @ near > 0


def find_superpixels(image: np.ndarray, count: int) -> Superpixels:
    """Return about `count` superpixels of a uint8 RGB image (H, W, 3); fewer if there are too few pixels."""
    return describe(slico(image, count), to_lab(image))


def describe(labels: np.ndarray, channels: np.ndarray) -> Superpixels:
    """Return colours, positions and neighbours of the regions 0..N-1 of `labels` (H, W).

    `channels` float32 (H, W, C) is the image in CIE Lab, followed by any further channels to treat as colour.
    """
    height, width = labels.shape
    flat = labels.ravel()
    areas = np.bincount(flat).astype(np.float64)
    sums = [np.bincount(flat, channels[..., c].ravel()) for c in range(channels.shape[2])]
    colours = np.stack(sums, axis=1) / areas[:, None]
    rows = np.bincount(flat, np.repeat(np.arange(height) / max(height - 1, 1), width)) / areas
    columns = np.bincount(flat, np.tile(np.arange(width) / max(width - 1, 1), height)) / areas
    neighbours = np.zeros((len(areas), len(areas)), bool)
    neighbours[labels[:, 1:], labels[:, :-1]] = True
    neighbours[labels[1:], labels[:-1]] = True
    neighbours |= neighbours.T
    np.fill_diagonal(neighbours, False)
    at_border = np.zeros(len(areas), bool)
    at_border[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    centres = np.stack([rows, columns], axis=1).astype(np.float32)
    return Superpixels(labels, colours.astype(np.float32), centres, areas, neighbours, at_border)


def slico(image: np.ndarray, count: int) -> np.ndarray:
    """Return int32 (H, W): about `count` superpixels 0..N-1 of a uint8 RGB image (H, W, 3)."""
    height, width = image.shape[:2]
    side = round(np.sqrt(height * width / count))
    if side < 3 or min(height, width) < 2 * side:
        # Too few pixels for SLICO, which needs a two-dimensional grid of seeds: divide into equal tiles instead.
        return _tiles(height, width, max(side, 1))
    slic = cv2.ximgproc.createSuperpixelSLIC(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), cv2.ximgproc.SLICO, side, 10.0)
    slic.iterate(ITERATIONS)
    slic.enforceLabelConnectivity(25)  # a superpixel below a quarter of the mean size is merged with a neighbour
    return np.unique(slic.getLabels(), return_inverse=True)[1].reshape(height, width).astype(np.int32)


def _tiles(height: int, width: int, side: int) -> np.ndarray:
    rows, columns = np.arange(height) // side, np.arange(width) // side
    return (rows[:, None] * (int(columns[-1]) + 1) + columns).astype(np.int32)
