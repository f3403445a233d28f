"""Thresholds between light and dark: one level for the image, and one for each pixel.

Sources: Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Systems, Man, and Cybernetics
9(1), 1979, doi:10.1109/TSMC.1979.4310076; Kittler and Illingworth, "Minimum error thresholding", Pattern Recognition
19(1), 1986, doi:10.1016/0031-3203(86)90030-0; the means around each pixel follow Li, Kao, Gore and Ding, "Minimization
of region-scalable fitting energy for image segmentation", IEEE Trans. Image Processing 17(10), 2008,
doi:10.1109/TIP.2008.2002304, without the term for the length of the outline.
"""

from __future__ import annotations

import cv2
import numpy as np

BINS = 256
ROUNDS = 3
"""Iterations of `adapt`; more change hardly any pixel."""
PRIOR = 0.02
"""Weight of the means over the image relative to the local means."""


def otsu(values: np.ndarray) -> float | None:
    """Return the level that minimises the variance within both classes; None if all values are equal."""
    histogram = _histogram(values)
    if histogram is None:
        return None
    share, centres, tops = histogram
    below, mass = np.cumsum(share)[:-1], np.cumsum(share * centres)
    between = (mass[-1] * below - mass[:-1]) ** 2 / np.maximum(below * (1 - below), 1e-12)
    return float(tops[_middle_of_the_best(between)])


def minimum_error(values: np.ndarray, least_share: float = 0.002) -> float | None:
    """Return the level between two Gaussians, each with its own share and variance, that fit the values best.

    It suits rare objects, where Otsu's level would divide the background. Each class has at least `least_share` of the
    values. None if all values are equal.
    """
    histogram = _histogram(values)
    if histogram is None:
        return None
    share, centres, tops = histogram
    # Integer grey levels leave empty bins, and a class of a single value would have no variance.
    share = np.convolve(share, np.full(3, 1 / 3), "same")
    share /= share.sum()
    below, mass, square = (np.cumsum(share * centres**power)[:-1] for power in range(3))
    above, width = 1 - below, centres[1] - centres[0]
    inside = (below >= least_share) & (above >= least_share)
    if not inside.any():
        return otsu(values)
    below, mass, square, above = below[inside], mass[inside], square[inside], above[inside]
    total, total_square = (share * centres).sum(), (share * centres**2).sum()
    low = np.maximum(square / below - (mass / below) ** 2, width**2)
    high = np.maximum((total_square - square) / above - ((total - mass) / above) ** 2, width**2)
    error = below * np.log(low / below**2) + above * np.log(high / above**2)
    return float(tops[:-1][inside][_middle_of_the_best(-error)])


def adapt(values: np.ndarray, level: float, radius_px: float) -> np.ndarray:
    """Return a level float32 (H, W) for each pixel: halfway between the means of both classes around it.

    The classes start as the values above and below `level`. If a class does not occur nearby, its mean over the image
    is used.
    """
    levels = np.full(values.shape, level, np.float32)
    around = local_mean(values, radius_px)
    for _ in range(ROUNDS):
        light = values > levels
        if not light.any() or light.all():
            break
        share = local_mean(light.astype(np.float32), radius_px)
        mass = local_mean(values * light, radius_px)
        above = (mass + PRIOR * values[light].mean()) / (share + PRIOR)
        below = (around - mass + PRIOR * values[~light].mean()) / (1 - share + PRIOR)
        levels = (above + below) / 2
    return levels


def local_mean(values: np.ndarray, radius_px: float) -> np.ndarray:
    """Return the mean of float32 (H, W) around each pixel, weighted by a Gaussian of standard deviation `radius_px`.

    It is computed at a lower resolution, so that a large radius takes no longer than a small one.
    """
    height, width = values.shape
    step = max(1.0, radius_px / 3)
    size = max(1, round(width / step)), max(1, round(height / step))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), radius_px / step)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def local_median(values: np.ndarray, radius_px: float) -> np.ndarray:
    """Return the median of float32 (H, W) around each pixel: the background, if objects cover less than half.

    It is computed at a lower resolution and with 256 levels, then blurred, so that it is smooth and fast at any radius.
    """
    height, width = values.shape
    step = max(1.0, radius_px / 8)
    size = max(1, round(width / step)), max(1, round(height / step))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    lowest, unit = float(small.min()), max(float(small.max() - small.min()), 1e-3) / 255
    levels = np.rint((small - lowest) / unit).astype(np.uint8)
    middle = cv2.medianBlur(levels, 2 * round(radius_px / step) + 1).astype(np.float32)
    middle = cv2.GaussianBlur(middle, (0, 0), 2.0) * unit + lowest
    return cv2.resize(middle, (width, height), interpolation=cv2.INTER_LINEAR)


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the share of the values, the centre and the upper edge of each bin."""
    lowest, highest = float(values.min()), float(values.max())
    if highest - lowest < 1e-3:
        return None
    counts = cv2.calcHist([values.astype(np.float32)], [0], None, [BINS], [lowest, highest + 1e-3]).ravel()
    edges = np.linspace(lowest, highest + 1e-3, BINS + 1)
    return counts.astype(np.float64) / values.size, (edges[1:] + edges[:-1]) / 2, edges[1:]


def _middle_of_the_best(score: np.ndarray) -> int:
    """Return the index of the greatest score; the middle one of equals, as in a gap between two classes."""
    best = np.flatnonzero(score >= score.max() - 1e-9 * abs(score.max()))
    return int(best[len(best) // 2])
