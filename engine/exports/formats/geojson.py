"""Outlines of objects as GeoJSON, one FeatureCollection an image, as QuPath imports and exports detections.

Coordinates are pixels, x to the right and y down. Outer rings go round counterclockwise as RFC 7946 counts it, which
takes y as pointing up, and holes clockwise. Measurements are numbers; what could not be measured is left out.

Source: Butler et al., "The GeoJSON Format", RFC 7946, 2016, and Bankhead et al., "QuPath: Open source software for
digital pathology image analysis", Scientific Reports 7, 2017, doi:10.1038/s41598-017-17204-5.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_images import MeasuredImage, write_zip
from engine.exports.outlines import MaskObject, Outline

NO_MEASUREMENTS = ("class",)
"""Columns of numbers that say what an object is, and do not measure it."""


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    names = dict(enumerate(source.classes, start=1))
    write_zip(
        source,
        target,
        progress,
        "geojson",
        lambda found, stem: feature_collection(found, names, source.note),
        columns=None,
    )


def feature_collection(found: MeasuredImage, class_names: dict[int, str], note: str) -> bytes:
    """Return the objects of one image as a FeatureCollection in UTF-8."""
    numbers = found.rows.select_dtypes(["number", "bool"]).drop(columns=list(NO_MEASUREMENTS))
    measured = dict(zip(found.rows.index.tolist(), numbers.to_dict("records"), strict=True))
    features = [
        {
            "type": "Feature",
            "geometry": _geometry(each),
            "properties": {
                "objectType": "detection",
                "name": str(number),
                "classification": {"name": class_names[class_number]},
                "measurements": _measurements(measured[number]),
            },
        }
        for number, class_number, each in found.objects()
    ]
    collection = {"type": "FeatureCollection", "image": found.image.name, "description": note, "features": features}
    return json.dumps(collection, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _geometry(found: MaskObject) -> dict[str, Any]:
    polygons = [_polygon(piece) for piece in found.pieces(apart_at_corners=True)]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _polygon(piece: Outline) -> list[list[list[int]]]:
    return [np.concatenate([ring, ring[:1]]).tolist() for ring in (piece.outer, *piece.holes)]


def _measurements(row: dict[str, Any]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in row.items() if math.isfinite(value)}


FORMAT = ObjectFormat(
    name="geojson",
    title="GeoJSON for QuPath (zip)",
    sentence="One file for each image: each object as a detection with its outline, class and measurements.",
    suffix="zip",
    order=96,
    write=write,
)
