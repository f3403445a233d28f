"""Objects on a surface: a table, a belt, a plate, a sheet. What an even surface surrounds is an object.

Unlike methods that compare with the colours along the image border, this one does not depend on the position of the
surface or on what is beside it. Surfaces are connected areas without strong edges. What they enclose, entirely or
except for a short part of the image border, is an object. This is repeated for several edge strengths, and the result
is the share of them: the idea of stable regions of Matas, Chum, Urban and Pajdla, "Robust wide-baseline stereo from
maximally stable extremal regions", Image and Vision Computing 22(10), 2004, doi:10.1016/j.imavis.2004.02.006. The
contact with the image border is measured as in Zhu et al., CVPR 2014, doi:10.1109/CVPR.2014.360.
"""

from __future__ import annotations

import cv2
import numpy as np

from engine.core.parameters import number
from engine.labelling.base import LabelParams, Method
from engine.labelling.cues.features import to_lab

STRENGTHS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
"""Edge strengths that bound a surface, in multiples of the image's median gradient."""

NOISE = 0.15
"""Lab units per pixel; weaker gradients are never edges."""


class SurfaceParams(LabelParams):
    # Larger than elsewhere, as objects on a table seen from above are small.
    longest_side_px: int = number(640, 64, 1600, LabelParams.model_fields["longest_side_px"].description, unit="px")
    smoothing_px: float = number(
        1.0, 0.3, 6, "Blur before edge detection: a stronger blur ignores the grain of the surface.", unit="px"
    )
    agreement: float = number(
        0.33,
        0.1,
        1,
        "Share of the edge strengths at which an object must be found: lower values find more, including errors.",
    )
    least_surface_percent: float = number(
        8, 1, 60, "Smaller even areas are not surfaces.", title="Smallest surface", unit="%"
    )
    least_area_percent: float = number(0.03, 0, 5, "Smaller objects are removed.", title="Smallest object", unit="%")
    greatest_area_percent: float = number(40, 1, 100, "Larger objects are removed.", title="Largest object", unit="%")
    border_contact: float = number(
        0.5, 0, 4, "Largest length of an object along the image border, relative to the root of its area; 0: none."
    )


def label(image: np.ndarray, params: SurfaceParams, rng: np.random.Generator) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that a pixel belongs to an object; 0.5 is at `agreement`."""
    edges = gradient(image, params.smoothing_px)
    level = float(np.median(edges))
    votes = np.zeros(edges.shape, np.uint8)
    for strength in STRENGTHS:
        votes += enclosed(edges < strength * level + NOISE, params)
    share = np.zeros(edges.shape, np.float32)
    for count in range(1, len(STRENGTHS) + 1):
        share += whole(votes >= count) / len(STRENGTHS)
    # Half a vote below the agreement, so that a share equal to it counts as foreground.
    threshold = min(max(params.agreement, 1 / len(STRENGTHS)), 1) - 0.5 / len(STRENGTHS)
    return np.where(share < threshold, 0.5 * share / threshold, 0.5 + 0.5 * (share - threshold) / (1 - threshold))


def gradient(image: np.ndarray, smoothing_px: float) -> np.ndarray:
    """Return float32 (H, W): the length of the colour gradient of a uint8 RGB image, in Lab units per pixel."""
    lab = cv2.GaussianBlur(to_lab(image), (0, 0), smoothing_px)
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=0.125)
    return np.sqrt((across**2 + down**2).sum(2))


def enclosed(even: np.ndarray, params: SurfaceParams) -> np.ndarray:
    """Return bool (H, W): the pixels enclosed by one of the surfaces among the even areas (bool (H, W))."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(even.astype(np.uint8), connectivity=4)
    objects = np.zeros(even.shape, bool)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] >= params.least_surface_percent / 100 * even.size:
            objects |= _enclosed_by((parts == part).astype(np.uint8), params)
    # The blur widens an edge, and half of it lies outside the object.
    return cv2.erode(objects.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _enclosed_by(surface: np.ndarray, params: SurfaceParams) -> np.ndarray:
    surface = cv2.morphologyEx(surface, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(1 - surface, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    sides = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    contact = np.bincount(sides, minlength=count) / np.sqrt(np.maximum(areas, 1))
    share = 100 * areas / surface.size
    selected = (share >= params.least_area_percent) & (share <= params.greatest_area_percent)
    selected &= contact <= params.border_contact
    selected[0] = False  # the surface itself
    return selected[pieces]


def whole(mask: np.ndarray) -> np.ndarray:
    """Return the mask (H, W) with gaps closed, holes filled and thin lines removed.

    The inside of a pan is as even as the table, so that only the rim of some objects is found.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    count, outside = cv2.connectedComponents(1 - closed, connectivity=4)
    reached = np.zeros(count, bool)
    reached[np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])] = True
    reached[0] = False
    return cv2.morphologyEx((~reached[outside]).astype(np.uint8), cv2.MORPH_OPEN, disc) > 0


METHOD = Method(
    "surface",
    "Objects on a surface",
    SurfaceParams,
    label,
    summary="Objects on a table, a belt or a sheet, anywhere in the image.",
)
