"""Tables as CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

# OWASP, "CSV Injection": a cell that begins with one of these starts a formula; the wide forms do in some languages,
# and some programs look past what is blank or quoted before them.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
_PASSED_OVER = " \u00a0\"'"


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV. Text that a spreadsheet would run as a formula is made plain text."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows([_plain(cell) for cell in row] for row in chain([header], rows))
    return target.getvalue()


def _plain(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")  # Python's writer does not quote a lone carriage return
    return f"'{text}" if text.lstrip(_PASSED_OVER).startswith(_STARTS_A_FORMULA) else text
