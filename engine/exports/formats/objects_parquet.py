"""The table of objects as Parquet."""

from __future__ import annotations

from pathlib import Path

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_tables import table_to_parquet


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    table_to_parquet(source.objects, target, source.note)
    progress(len(source.images))


FORMAT = ObjectFormat(
    name="objects-parquet",
    title="Objects, Parquet",
    sentence="One row for each object, smaller and not rounded, for pandas, R and others.",
    suffix="parquet",
    order=91,
    write=write,
)
