"""Cells that a spreadsheet opens as text, without running them as a formula."""

from __future__ import annotations

from typing import Any

# OWASP, "CSV Injection": a cell that begins with one of these starts a formula; the wide forms do in some languages,
# and some programs look past what is blank or quoted before them.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
_PASSED_OVER = " \u00a0\"'"


def plain(cell: Any) -> Any:
    """Return a cell of a table; text that a spreadsheet would run gets an apostrophe in front."""
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")  # Python's writer does not quote a lone carriage return
    return f"'{text}" if text.lstrip(_PASSED_OVER).startswith(_STARTS_A_FORMULA) else text
