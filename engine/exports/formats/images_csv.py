"""The table of images with their counts as CSV."""

from __future__ import annotations

from pathlib import Path

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_tables import table_to_csv


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    table_to_csv(source.per_image, target)
    progress(len(source.images))


FORMAT = ObjectFormat(
    name="images-csv",
    title="Counts per image, CSV",
    sentence="One row for each image, also for those without objects.",
    suffix="csv",
    order=92,
    write=write,
)
