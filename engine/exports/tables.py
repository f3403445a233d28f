"""Tables as CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from engine.core.spreadsheets import plain


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV. Text that a spreadsheet would run as a formula is made plain text."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows([plain(cell) for cell in row] for row in chain([header], rows))
    return target.getvalue()
