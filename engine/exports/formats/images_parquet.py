"""The table of images with their counts as Parquet."""

from __future__ import annotations

from pathlib import Path

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_tables import table_to_parquet


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    table_to_parquet(source.per_image, target, source.note)
    progress(len(source.images))


FORMAT = ObjectFormat(
    name="images-parquet",
    title="Counts per image, Parquet",
    sentence="One row for each image, also for those without objects; not rounded.",
    suffix="parquet",
    order=93,
    write=write,
)
