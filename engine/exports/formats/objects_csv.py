"""The table of objects as CSV."""

from __future__ import annotations

from pathlib import Path

from engine.exports.annotated import Progress
from engine.exports.base import ObjectFormat
from engine.exports.measured import MeasuredObjects
from engine.exports.measured_tables import table_to_csv


def write(source: MeasuredObjects, target: Path, progress: Progress) -> None:
    table_to_csv(source.objects, target)
    progress(len(source.images))


FORMAT = ObjectFormat(
    name="objects-csv",
    title="Objects, CSV",
    sentence="One row for each object, for a spreadsheet or a statistics program.",
    suffix="csv",
    order=90,
    write=write,
)
