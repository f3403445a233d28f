"""Tables of measurements as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.spreadsheets import plain

if TYPE_CHECKING:
    import pandas as pd


def write_csv(tables: Iterable[pd.DataFrame], out: Path, encoding: str = "utf-8") -> None:
    """Write tables of the same columns below each other, numbers with six digits, and the names of columns first.

    Text that a spreadsheet would run as a formula is made plain text.
    """
    from pandas.api.types import is_numeric_dtype

    with out.open("w", encoding=encoding, newline="") as file:
        for index, table in enumerate(tables):
            texts = {name: table[name].map(plain) for name in table if not is_numeric_dtype(table[name])}
            floats = {name: table[name] + 0.0 for name in table.select_dtypes("float")}  # no "-0"
            table.assign(**floats, **texts).rename(columns=plain).to_csv(
                file, index=False, header=index == 0, float_format="%.6g", lineterminator="\n"
            )
