"""What is the same in all images of a dataset: black corners, a frame, burnt-in text, a scale bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from engine.imaging.codec import fit_longest_side

FEWEST_IMAGES = 8
"""In fewer images something may be the same by chance."""

MOST_IMAGES = 64
WORKING_PX = 768

PERCENTILES = 0.05, 0.95
MOST_SPREAD = 24
"""Grey levels between these percentiles over the images, up to which a pixel is the same in all."""

SHARE_OF_TYPICAL = 0.25
"""And so small beside the median pixel's spread: a background that is dark everywhere is not a frame."""

GAP_SHARE = 0.02
"""Gaps of this share of the shorter side are closed: text in a black corner changes, and is left out with it."""

LEAST_SHARE = 0.0002
"""Smaller pieces of this share of the image are noise."""

HOLE_SHARE = 0.02
"""And holes up to this share of the image; larger ones are the picture inside a frame."""

MOST_SHARE = 0.8
"""If more of the image is the same in all, they are of one thing, and nothing stands out as a frame."""


class TooFewImages(ValueError):
    """Too few images can be compared. The sentence gives the least number and how many there are."""


def constant_region(images: Iterable[np.ndarray]) -> np.ndarray | None:
    """Return where images, uint8 RGB (H, W, 3) of one size, are all the same, bool (H, W); None if nowhere.

    Raises:
        TooFewImages: there are fewer than FEWEST_IMAGES.
        ValueError: they differ in size.
    """
    small, sizes = [], set()
    for image in images:  # of 64 large images only small copies fit into memory
        height, width = image.shape[:2]
        sizes.add((width, height))
        working = fit_longest_side((height, width), WORKING_PX)
        small.append(cv2.resize(image, working[::-1], interpolation=cv2.INTER_AREA))
    if len(small) < FEWEST_IMAGES:
        raise TooFewImages(
            f"At least {FEWEST_IMAGES} images of one size are needed to find what is the same in all. Got {len(small)}."
        )
    if len(sizes) > 1:
        raise ValueError(f"The images to compare must have one size. Got {len(sizes)}.")
    spread = _spread(small)
    same = spread <= min(MOST_SPREAD, SHARE_OF_TYPICAL * float(np.median(spread)))
    found = _joined(same)
    if not found.any() or found.mean() > MOST_SHARE:
        return None
    return cv2.resize(found.astype(np.uint8), sizes.pop(), interpolation=cv2.INTER_NEAREST) > 0


def _spread(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return how much each pixel differs over the images, uint8 (H, W, 3), in grey levels: float32 (H, W).

    The brightest and the darkest channel are looked at, so that neither saturation nor a colour hides a difference.
    """
    spreads = []
    for channel in (np.max, np.min):
        levels = np.sort(np.stack([channel(image, axis=2) for image in images]), axis=0)
        least, most = (round(share * (len(levels) - 1)) for share in PERCENTILES)
        spreads.append(levels[most] - levels[least])
    return np.maximum(*spreads).astype(np.float32)


def _joined(same: np.ndarray) -> np.ndarray:
    """Return the region, bool (H, W), without specks, with small gaps closed and a pixel more around it."""
    size = 2 * round(GAP_SHARE * min(same.shape) / 2) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    same = _pieces(same, LEAST_SHARE)
    # The border is repeated, so that a corner is closed up to the image's edge
    around = cv2.copyMakeBorder(same.astype(np.uint8), size, size, size, size, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(around, cv2.MORPH_CLOSE, disc)[size:-size, size:-size] > 0
    closed = closed | _pieces(~closed, 0, HOLE_SHARE)
    return cv2.dilate(closed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _pieces(mask: np.ndarray, least: float, most: float = 1.0) -> np.ndarray:
    """Return the connected pieces of a mask, bool (H, W), from `least` to `most` of its size."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    share = stats[:, cv2.CC_STAT_AREA] / mask.size
    kept = (share >= least) & (share <= most)
    kept[0] = False
    return kept[labels]
