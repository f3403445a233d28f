"""Outlines of objects as ROIs of ImageJ.

ImageJ's ROI Manager opens a zip as the ROIs of the image in front, so each image has a zip of its own inside the one
that is downloaded. The coordinates of area ROIs are those of our outlines: the pixel of row r and column c is the
square from (c, r) to (c + 1, r + 1).

Source: the comments of `ij/io/RoiDecoder.java` and `ij/gui/Roi.java` in ImageJ.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_images import MeasuredImage, write_zip
from engine.exports.outlines import MaskObject

_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
"""Java counts these characters as two, and roifile as one."""
MOST_CORNERS = 65_535
"""A polygon with more would be a file that older versions of ImageJ misread; ImageJ itself then saves a composite."""
MOVE_TO, LINE_TO, CLOSE = 0.0, 1.0, 4.0


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    in_groups = len(source.classes) > 1
    write_zip(source, target, progress, "zip", lambda found, stem: roi_zip(found, stem, in_groups=in_groups))


def roi_zip(found: MeasuredImage, stem: str, *, in_groups: bool) -> bytes | None:
    """Return the zip of one image's ROIs, or None without objects: ImageJ refuses an empty zip.

    Args:
        in_groups: the number of its class is the group of each ROI, which ImageJ shows in a colour of its own.
    """
    if not len(found.rows):
        return None
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, class_number, each in found.objects():
            name = f"{_BEYOND_16_BITS.sub('_', stem)}-{number}"
            archive.writestr(f"{name}.roi", _roi(each, name, class_number if in_groups else 0))
    return file.getvalue()


def _roi(found: MaskObject, name: str, group: int) -> bytes:
    """Return an object as a traced polygon, as by ImageJ's wand; with holes or in several pieces as a composite."""
    from roifile import ROI_TYPE, ImagejRoi

    left, top, wide, high = found.box
    roi = ImagejRoi(left=left, top=top, right=left + wide, bottom=top + high, name=name, group=group)
    outer = found.outer(tolerance_px=0)
    if outer is not None and len(outer) <= MOST_CORNERS:
        roi.roitype, roi.n_coordinates = ROI_TYPE.TRACED, len(outer)
        roi.integer_coordinates = (outer - (left, top)).astype(np.int32)
    else:
        rings = (ring for piece in found.pieces() for ring in (piece.outer, *piece.holes))
        roi.roitype, roi.multi_coordinates = ROI_TYPE.RECT, _path(rings)
        roi.shape_roi_size = len(roi.multi_coordinates)
    return roi.tobytes()


def _path(rings: Iterable[np.ndarray]) -> np.ndarray:
    """Return closed rings, (N, 2) each, as one path, float32: an operation and its point after each other."""
    parts = []
    for ring in rings:
        steps = np.column_stack([np.full(len(ring), LINE_TO), ring])
        steps[0, 0] = MOVE_TO
        parts.append(np.append(steps.ravel(), CLOSE))
    return np.concatenate(parts).astype(np.float32)


FORMAT = ObjectFormat(
    name="imagej-roi",
    title="ImageJ ROIs (zip)",
    sentence="Unpack it: one zip for each image, which ImageJ's ROI Manager opens, with the outline of each object.",
    suffix="zip",
    order=95,
    write=write,
)
