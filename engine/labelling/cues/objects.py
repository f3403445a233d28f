"""A mask as objects: drop what is too small, too large or cut off by the frame, fill holes, part what touches.

Source of the split: Beucher and Lantuejoul, "Use of watersheds in contour detection", Int. Workshop on Image
Processing, Rennes, 1979; Vincent and Soille, "Watersheds in digital spaces", IEEE Trans. Pattern Analysis and Machine
Intelligence 13(6), 1991, doi:10.1109/34.87344; peaks by their dynamics: Grimaud, SPIE 1769, 1992.
"""

from __future__ import annotations

import cv2
import numpy as np


def drop_by_area(mask: np.ndarray, least_px: float, greatest_px: float) -> np.ndarray:
    """Return the mask bool (H, W) without objects of fewer than `least_px` or more than `greatest_px` pixels."""
    labels, areas = _objects(mask, 8)
    keep = (areas >= least_px) & (areas <= greatest_px)
    keep[0] = False
    return keep[labels]


def drop_at_border(mask: np.ndarray) -> np.ndarray:
    """Return the mask bool (H, W) without objects that reach the image border."""
    labels, areas = _objects(mask, 8)
    keep = np.ones(len(areas), bool)
    keep[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    keep[0] = False
    return keep[labels]


def fill_holes(mask: np.ndarray, greatest_px: float) -> np.ndarray:
    """Return the mask bool (H, W) with those holes filled that have at most `greatest_px` pixels.

    A hole is ground that does not reach the image border.
    """
    labels, areas = _objects(~mask, 4)
    fill = areas <= greatest_px
    fill[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    fill[0] = False
    return mask | fill[labels]


def split_at_necks(mask: np.ndarray, neck: float) -> np.ndarray:
    """Return the mask bool (H, W) with a line of ground, one pixel wide, through each narrow neck.

    A neck is narrow if it is thinner than `neck`, in (0, 1), times the thinner of the two parts it joins: a ratio, so
    that objects of every size are parted alike. Parts are peaks of the distance to the ground; in its logarithm a
    ratio is a depth, and peaks less deep than that are one.
    """
    # Here, because scikit-image's morphology takes long to import and most recipes split nothing.
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed

    if not mask.any():
        return mask
    # One more, because a width of one or two pixels says little. The frame is no ground: what it cuts ends in no neck.
    distance = np.log1p(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    least = -np.log(neck)
    above = distance - reconstruction(np.maximum(distance - least, 0), distance)
    peaks, _ = _objects(above > 1e-6, 8)
    deep = np.zeros(int(peaks.max()) + 1, bool)
    deep[peaks[above > least - 1e-6]] = True
    regions = watershed(-distance, np.where(deep[peaks], peaks, 0), mask=mask)
    parted = mask.copy()
    # A pixel gives way where the next one right, below or across is another part's: parts touch at no corner either.
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(regions, down, across)
        parted[: len(here), max(0, -across) : max(0, -across) + here.shape[1]] &= (here == there) | (there == 0)
    return parted


def _shifted(regions: np.ndarray, down: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two views of the regions: each pixel that has such a neighbour, and that neighbour."""
    height, width = regions.shape
    left, right = max(0, -across), width - max(0, across)
    return regions[: height - down, left:right], regions[down:, left + across : right + across]


def _objects(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Return object numbers int32 (H, W), 0 where the mask is False, and the area of each."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return labels, np.bincount(labels.ravel())
