"""Operations on the objects of a mask: removal by size or at the border, filling of holes, splitting at necks.

Sources of the split: Beucher and Lantuejoul, "Use of watersheds in contour detection", Int. Workshop on Image
Processing, Rennes, 1979; Vincent and Soille, "Watersheds in digital spaces", IEEE Trans. Pattern Analysis and Machine
Intelligence 13(6), 1991, doi:10.1109/34.87344; peaks by their dynamics: Grimaud, SPIE 1769, 1992.
"""

from __future__ import annotations

import cv2
import numpy as np

MOST_DILATIONS = 100
"""As many are quicker than to sort all pixels, and enough for objects up to about 200 pixels across."""


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
    """Return the mask bool (H, W) with holes of at most `greatest_px` pixels filled.

    A hole is background that does not reach the image border.
    """
    labels, areas = _objects(~mask, 4)
    fill = areas <= greatest_px
    fill[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    fill[0] = False
    return mask | fill[labels]


def split_at_necks(mask: np.ndarray, neck: float) -> np.ndarray:
    """Return the mask bool (H, W) with a line of background, one pixel wide, through each narrow neck (`parts`)."""
    if not mask.any():
        return mask
    regions = parts(mask, neck)
    split = mask.copy()
    # A pixel becomes background if its right, lower or diagonal neighbour belongs to another part.
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(regions, down, across)
        split[: len(here), max(0, -across) : max(0, -across) + here.shape[1]] &= (here == there) | (there == 0)
    return split


def parts(mask: np.ndarray, neck: float) -> np.ndarray:
    """Return the number of the part that each pixel belongs to, int32 (H, W), 0 where the mask is False.

    Numbers need not be consecutive. Parts meet where a neck is narrow: thinner than `neck`, in (0, 1), times the
    thinner of the two parts that it connects, so that the result does not depend on the size of the objects. Parts are
    peaks of the distance to the background. In the logarithm of the distance a ratio is a depth; peaks of a smaller
    depth belong to one part.
    """
    # Not above, because scikit-image is slow to import and most recipes do not split.
    from skimage.segmentation import watershed

    # log1p, as widths of one or two pixels are inaccurate. The image border is not background, so it makes no neck.
    distance = np.log1p(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    least = -np.log(neck)
    above = distance - _reconstructed(np.maximum(distance - least, 0), distance)
    peaks, _ = _objects(above > 1e-6, 8)
    deep = np.zeros(int(peaks.max()) + 1, bool)
    deep[peaks[above > least - 1e-6]] = True
    return watershed(-distance, np.where(deep[peaks], peaks, 0), mask=mask)


def _reconstructed(marker: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Return the reconstruction by dilation of `marker` below `limit`, both float32 (H, W)."""
    neighbours = np.ones((3, 3), np.uint8)
    for _ in range(MOST_DILATIONS):
        grown = np.minimum(cv2.dilate(marker, neighbours), limit)
        if np.array_equal(grown, marker):
            return marker
        marker = grown
    from skimage.morphology import reconstruction

    return reconstruction(marker, limit)


def _shifted(regions: np.ndarray, down: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two views of the regions: each pixel that has a neighbour at this offset, and that neighbour."""
    height, width = regions.shape
    left, right = max(0, -across), width - max(0, across)
    return regions[: height - down, left:right], regions[down:, left + across : right + across]


def _objects(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Return object numbers int32 (H, W), 0 where the mask is False, and the area of each."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return labels, np.bincount(labels.ravel())
