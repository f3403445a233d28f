"""Masks as text files for YOLO segmentation: one line for each object, "class x1 y1 x2 y2 …", all in [0, 1].

The zip holds labels/<stem>.txt for each image (empty where there is no foreground), data.yaml, and lists of images for
training and validation. The images themselves are not in it: they belong beside labels/ as images/<name>, under the
names of the lists; names.csv says which of the person's files each of them is.

A line is one ring, so a hole is reached by a walk from the outline and back (see `outlines.bridged`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from engine.core.filenames import safe_stems
from engine.exports.annotated import Annotated, Progress
from engine.exports.base import MaskFormat
from engine.exports.outlines import TOLERANCE_PX, bridged, class_masks, objects
from engine.exports.tables import as_csv

SOME_SUFFIX = ".png"


def write(source: Annotated, target: Path, progress: Progress) -> int:
    """Write the zip; return how many objects it has. Masks are read one by one."""
    stems = safe_stems([image.name for image in source.images])
    files = [f"{stem}{_suffix(image.name)}" for stem, image in zip(stems, source.images, strict=True)]
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for done, (stem, (_, class_map)) in enumerate(zip(stems, source.masks(), strict=True), start=1):
            lines = label_lines(class_map, source.tolerance_px)
            count += len(lines)
            archive.writestr(f"labels/{stem}.txt", "".join(f"{line}\n" for line in lines))
            progress(done)
        sides = _sides(source, files)
        for side, listed in sides.items():
            archive.writestr(f"{side}.txt", "".join(f"./images/{file}\n" for file in listed))
        archive.writestr("data.yaml", _data_yaml(source, sides))
        rows = [[f"images/{file}", image.name] for file, image in zip(files, source.images, strict=True)]
        archive.writestr("names.csv", "\ufeff" + as_csv(["image", "file"], rows))
    return count


def label_lines(class_map: np.ndarray, tolerance_px: float = TOLERANCE_PX) -> list[str]:
    """Return a line for each object of a class map, uint8 (H, W): its class and ring, x by the width, y by the height.

    Class 1 is written as 0, because numbers in these files begin there. Of several classes the largest objects come
    first: what lies in a hole that is filled is drawn over it.
    """
    height, width = class_map.shape
    lines = []
    for number, mask in class_masks(class_map):
        for found in objects(mask):
            ring = found.outer(tolerance_px)
            if ring is None:
                ring = bridged(found.outline(tolerance_px))
            line = " ".join([str(number - 1), *(f"{each:.6g}" for each in (ring / (width, height)).ravel())])
            lines.append((found.area, line))
    if class_map.max() > 1:
        lines.sort(key=lambda pair: -pair[0])
    return [line for _, line in lines]


def _sides(source: Annotated, files: Sequence[str]) -> dict[str, list[str]]:
    """Return {"train": files, "val": files}: as the run that drew the masks was split; all in both where none was."""
    pairs = list(zip(source.images, files, strict=True))
    validation = [file for image, file in pairs if image.split == "validation"]
    training = [file for image, file in pairs if image.split != "validation"]
    return {"train": training or validation, "val": validation or training}


def _data_yaml(source: Annotated, sides: dict[str, list[str]]) -> str:
    # A JSON string is a YAML string too, whatever is in it
    return (
        f"# {' '.join(source.note.split())}\n"
        "# Put the images into images/, under the names of train.txt and val.txt; names.csv says which file is which.\n"
        "path: .\n"
        + "".join(f"{side}: {side}.txt\n" for side in sides)
        + "names:\n"
        + "".join(f"  {at}: {json.dumps(name, ensure_ascii=False)}\n" for at, name in enumerate(source.classes))
    )


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name.replace("\\", "/")).suffix
    return suffix if suffix[1:].isalnum() and suffix.isascii() else SOME_SUFFIX


FORMAT = MaskFormat(
    name="yolo",
    title="YOLO segmentation (zip)",
    sentence="One text file for each image with a polygon for each object, data.yaml and the lists of images.",
    suffix="zip",
    order=40,
    write=write,
)
