"""Measurements of objects: size, shape, place and intensity, as columns of a table.

Sources: area, axes, orientation, eccentricity, solidity, Feret diameter and Crofton perimeter are those of
scikit-image's `regionprops_table`. `perimeter_px` is the estimate of Vossepoel and Smeulders, "Vector code probability
and metrication error in the representation of straight lines of finite length", Computer Graphics and Image Processing
20, 1982, plus the half pixel around the centres of the outline's pixels (Steiner's formula). Circularity is Cox, "A
method of assigning numerical and percentage values to the degree of roundness of sand grains", J. Paleontology 1, 1927.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from engine.measuring.objects import Objects

LENGTHS = (
    *("perimeter", "perimeter_crofton", "equivalent_diameter"),
    *("major_axis", "minor_axis", "feret_max", "feret_min"),
)
"""Columns in pixels, and in micrometres where the pixel size is known and the same in both directions."""


@dataclass(frozen=True)
class Scale:
    """The size of a pixel in micrometres, and what says so: "file", "user"."""

    width_um: float
    height_um: float
    source: str

    @property
    def is_square(self) -> bool:
        return math.isclose(self.width_um, self.height_um, rel_tol=1e-3)


def measure(
    objects: Objects,
    image: np.ndarray | None = None,
    probability: np.ndarray | None = None,
    scale: Scale | None = None,
) -> dict[str, np.ndarray]:
    """Return {column: values (N,)} of N objects, in their order.

    Args:
        image: uint8 (H, W, 3) or (H, W), for the intensity of each channel.
        probability: foreground probability uint8 (H, W), for its mean over each object.
        scale: adds physical columns. Where pixels are not square, only area and centroid have them: a length would
            depend on its direction.
    """
    from skimage.measure import regionprops_table

    wanted = (
        *("area", "centroid", "bbox", "equivalent_diameter_area", "axis_major_length", "axis_minor_length"),
        *("eccentricity", "orientation", "solidity", "perimeter_crofton"),
    )
    found: dict[str, Any] = regionprops_table(objects.labels, properties=wanted)
    rows = [_outline(objects.labels, number, box) for number, box in _boxes(found)]
    perimeter, feret_max, feret_min = np.array(rows, float).reshape(-1, 3).T
    area = np.asarray(found["area"], float)
    table: dict[str, np.ndarray] = {
        "object": np.arange(1, len(area) + 1),
        "class": objects.classes,
        "area_px": area.astype(np.int64),
        "perimeter_px": perimeter,
        "perimeter_crofton_px": found["perimeter_crofton"],
        "equivalent_diameter_px": found["equivalent_diameter_area"],
        "major_axis_px": found["axis_major_length"],
        "minor_axis_px": found["axis_minor_length"],
        "feret_max_px": feret_max,
        "feret_min_px": feret_min,
        "circularity": np.minimum(4 * np.pi * area / np.maximum(perimeter, 1e-9) ** 2, 1.0),
        "eccentricity": found["eccentricity"],
        "solidity": found["solidity"],
        "aspect_ratio": feret_max / np.maximum(feret_min, 1e-9),
        "orientation_deg": np.rad2deg(found["orientation"]),
        "centroid_x_px": found["centroid-1"],
        "centroid_y_px": found["centroid-0"],
        "left_px": found["bbox-1"],
        "top_px": found["bbox-0"],
        "width_px": found["bbox-3"] - found["bbox-1"],
        "height_px": found["bbox-2"] - found["bbox-0"],
        "touches_border": objects.at_border,
        "counts_as": objects.weights,
    }
    if image is not None:
        channels = image[..., None] if image.ndim == 2 else image
        names = ("red", "green", "blue") if channels.shape[-1] == 3 else ("grey",)
        for name, channel in zip(names, np.moveaxis(channels, -1, 0), strict=True):
            table |= {
                f"{name}_{key}": values for key, values in _statistics(objects.labels, channel, len(area)).items()
            }
    if probability is not None:
        table["mean_probability"] = _statistics(objects.labels, probability, len(area))["mean"] / 255
    return table | (_physical(table, scale) if scale else {})


def _boxes(found: dict[str, Any]) -> list[tuple[int, tuple[int, int, int, int]]]:
    columns = zip(*(found[f"bbox-{side}"].tolist() for side in range(4)), strict=True)
    return list(enumerate(columns, start=1))


def _outline(labels: np.ndarray, number: int, box: tuple[int, int, int, int]) -> tuple[float, float, float]:
    """Return perimeter, greatest and least Feret diameter of one object, in pixels."""
    top, left, bottom, right = box
    mask = np.pad((labels[top:bottom, left:right] == number).astype(np.uint8), 1)
    rings, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    length = 0.0
    for ring, (*_, parent) in zip(rings, tree[0], strict=True):
        steps = np.diff(np.concatenate([ring, ring[:1]])[:, 0], axis=0)
        diagonal = np.abs(steps).sum(1) == 2
        turns = int((steps != np.roll(steps, 1, axis=0)).any(1).sum())
        chain = 0.980 * int((~diagonal).sum()) + 1.406 * int(diagonal.sum()) - 0.091 * turns
        chain = chain if len(ring) > 1 else 0.0
        length += chain + math.pi if parent < 0 else max(chain - math.pi, 0.0)
    corners = np.concatenate([ring[:, 0] for ring, (*_, parent) in zip(rings, tree[0], strict=True) if parent < 0])
    return length, *_feret(corners)


def _feret(centres: np.ndarray) -> tuple[float, float]:
    """Return the greatest and least distance of two parallel lines around pixels with these centres, int (N, 2).

    A pixel ends at the middles of its sides; with its corners, oblique outlines would be too wide.
    """
    middles = (centres[:, None] + np.array([(-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5)])).reshape(-1, 2)
    hull = cv2.convexHull(middles.astype(np.float32))[:, 0].astype(float)
    greatest = math.sqrt(float(((hull[:, None] - hull[None]) ** 2).sum(-1).max()))
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([-edges[:, 1], edges[:, 0]], 1) / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)[:, None]
    widths = hull @ normals.T  # the least width is at right angles to an edge of the hull
    return greatest, float((widths.max(0) - widths.min(0)).min())


def _statistics(labels: np.ndarray, values: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Return mean, standard deviation, minimum and maximum of a channel over each of `count` objects."""
    inside = labels > 0
    owner, level = labels[inside] - 1, values[inside].astype(float)
    pixels = np.maximum(np.bincount(owner, minlength=count), 1)
    mean = np.bincount(owner, level, count) / pixels
    spread = np.sqrt(np.bincount(owner, (level - mean[owner]) ** 2, count) / pixels)
    least, greatest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, owner, level)
    np.maximum.at(greatest, owner, level)
    return {"mean": mean, "sd": spread, "min": least, "max": greatest}


def _physical(table: dict[str, np.ndarray], scale: Scale) -> dict[str, np.ndarray]:
    columns = {
        "area_um2": table["area_px"] * scale.width_um * scale.height_um,
        "centroid_x_um": table["centroid_x_px"] * scale.width_um,
        "centroid_y_um": table["centroid_y_px"] * scale.height_um,
    }
    if scale.is_square:
        columns |= {f"{name}_um": table[f"{name}_px"] * scale.width_um for name in LENGTHS}
    return columns
