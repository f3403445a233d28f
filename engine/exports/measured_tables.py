"""The tables of a measurement as files to download: without the internal column, and not all in memory at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from engine.exports.measured_images import IMAGE_ID
from engine.measuring.csv_file import write_csv

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet


def table_to_csv(table: Path, target: Path) -> None:
    """Write a Parquet file as CSV in UTF-8, with the mark at its start by which Excel knows that."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(table) as file:
        write_csv(_frames(file), target, "utf-8-sig")


def table_to_parquet(table: Path, target: Path, note: str) -> None:
    """Write a Parquet file anew, with `note` as its metadata `description`."""
    from pyarrow.parquet import ParquetFile, ParquetWriter

    with ParquetFile(table) as file:
        columns = _columns(file)
        schema = file.schema_arrow.empty_table().select(columns).schema.with_metadata({"description": note})
        with ParquetWriter(target, schema) as writer:
            for group in range(file.num_row_groups):
                writer.write_table(file.read_row_group(group, columns))


def _frames(file: pyarrow.parquet.ParquetFile) -> Iterator[pd.DataFrame]:
    """Yield the names of the columns, as a table without rows, and then the rows, some at a time."""
    columns = _columns(file)
    names = file.schema_arrow.empty_table().select(columns).to_pandas()
    return chain([names], (batch.to_pandas() for batch in file.iter_batches(columns=columns)))


def _columns(file: pyarrow.parquet.ParquetFile) -> list[str]:
    return [name for name in file.schema_arrow.names if name != IMAGE_ID]
