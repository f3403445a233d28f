"""The images of a measurement one by one, each with its objects and their rows, and zips of one file an image."""

from __future__ import annotations

import zipfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.core.filenames import safe_stems
from engine.exports.annotated import Progress
from engine.exports.measured import MeasuredObjects, ObjectImage
from engine.exports.outlines import MaskObject, labelled_objects
from engine.exports.tables import as_csv

if TYPE_CHECKING:
    import pandas as pd

IMAGE_ID = "image_id"
"""The column that tells images of the same name apart; no file that people download has it."""


@dataclass(frozen=True)
class MeasuredImage:
    """An image of a measurement. `labels` is int32 (H, W), and `rows` are indexed by the number of the object."""

    image: ObjectImage
    labels: np.ndarray
    rows: pd.DataFrame

    def objects(self) -> Iterator[tuple[int, int, MaskObject]]:
        """Yield (number, class, object) of each object."""
        classes = self.rows["class"]
        for number, found in labelled_objects(self.labels):
            yield number, int(classes[number]), found


def measured_images(source: MeasuredObjects, columns: Sequence[str] | None = ("class",)) -> Iterator[MeasuredImage]:
    """Yield the images of a measurement in order, with these columns of the table of objects, or all (None)."""
    import pandas as pd

    keys = [IMAGE_ID, "image", "object"]
    table = pd.read_parquet(source.objects, columns=columns if columns is None else [*keys, *columns])
    of_name: defaultdict[str, deque[pd.DataFrame]] = defaultdict(deque)
    for _, rows in table.groupby(IMAGE_ID, sort=False):
        of_name[rows["image"].iloc[0]].append(rows.drop(columns=keys[:2]).set_index("object"))
    nothing = table.iloc[:0].drop(columns=keys[:2]).set_index("object")
    for image, labels in source.maps():
        yield MeasuredImage(image, labels, of_name[image.name].popleft() if labels.any() else nothing)


def write_zip(
    source: MeasuredObjects,
    target: Path,
    progress: Progress,
    suffix: str,
    content: Callable[[MeasuredImage, str], bytes | None],
    columns: Sequence[str] | None = ("class",),
) -> None:
    """Write a zip with one file for each image, and names.csv, which says which file is whose.

    Args:
        content: called with the image and the stem of its file; returns what is in the file, or None for no file.
        columns: see `measured_images`.
    """
    rows = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        stems = safe_stems([image.name for image in source.images])
        for done, (stem, found) in enumerate(zip(stems, measured_images(source, columns), strict=True), start=1):
            file, written = f"{stem}.{suffix}", content(found, stem)
            if written is not None:
                archive.writestr(file, written)
            rows.append([file if written is not None else "", found.image.name, len(found.rows)])
            progress(done)
        archive.writestr("names.csv", "\ufeff" + as_csv(["file", "image", "objects"], rows))
