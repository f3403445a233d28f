"""Label maps: a zip with one OME-TIFF an image, in which each pixel has the number of its object.

The size of a pixel is in the resolution tags, per centimetre, which every program reads, and in the OME metadata, in
micrometres, which Bio-Formats, Fiji, QuPath and napari read.

Source: Goldberg et al., "The Open Microscopy Environment (OME) Data Model and XML file", Genome Biology 6, 2005,
doi:10.1186/gb-2005-6-5-r47.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_images import MeasuredImage, write_zip

UM_PER_CM = 10_000


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    write_zip(source, target, progress, "tif", label_map)


def label_map(found: MeasuredImage, stem: str) -> bytes:
    """Return the TIFF of one image: uint16, or uint32 if a number is above 65,535."""
    import tifffile

    labels, scale, file = found.labels, found.image.scale, io.BytesIO()
    metadata: dict[str, Any] = {"axes": "YX", "Name": stem}
    options: dict[str, Any] = {}
    if scale is not None:
        metadata |= {"PhysicalSizeX": scale.width_um, "PhysicalSizeXUnit": "µm"}
        metadata |= {"PhysicalSizeY": scale.height_um, "PhysicalSizeYUnit": "µm"}
        options["resolution"] = (UM_PER_CM / scale.width_um, UM_PER_CM / scale.height_um)
        options["resolutionunit"] = "CENTIMETER"
    depth = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
    tifffile.imwrite(file, labels.astype(depth), ome=True, metadata=metadata, **options)
    return file.getvalue()


FORMAT = ObjectFormat(
    name="label-maps",
    title="Label maps, TIFF (zip)",
    sentence="One TIFF for each image with the number of the object of each pixel, 16 or 32 bit, with the pixel size.",
    suffix="zip",
    order=94,
    write=write,
)
