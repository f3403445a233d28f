"""Rows that hold what this code never writes: a word that is no status, text that is no JSON, a number that is none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Engine, Enum, Float, LargeBinary, String, Table, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import JSON, Integer, TypeDecorator

from db.columns import Base

_ID = re.compile(r"[0-9a-f]{32}")
_ID_LENGTH = 32
_STORED_AS: tuple[tuple[type[Any], tuple[type, ...]], ...] = (
    (Boolean, (int,)),
    (Integer, (int,)),
    (Float, (int, float)),
    (LargeBinary, (bytes, memoryview)),
    (String, (str,)),
)
"""What a driver gives for the types of columns; databases other than SQLite check it themselves."""

OF_DAMAGE = ("decode", "no such column", "no such table")
"""In what SQLite says about tables that are not as their version has them, not about a file that is locked or gone."""


def unreadable_rows(bind: Engine) -> Iterator[str]:
    """Yield "row ID of TABLE: COLUMN …" for each value that this code does not write."""
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        assert isinstance(table, Table)
        wanted = {name: str(hint) for name, hint in mapper.class_.__annotations__.items()}
        key_places = [list(table.columns).index(column) for column in table.primary_key]
        query = str(select(table).compile(bind))
        try:
            with bind.connect() as connection:
                for row in connection.exec_driver_sql(query):
                    for column, value in zip(table.columns, row, strict=True):
                        if fault := _fault(column, value, wanted.get(column.key, "")):
                            key = " ".join(str(row[place])[:64] for place in key_places)
                            yield f"row {key} of {table.name}: {column.name} {fault}"
        except OperationalError as error:
            if not any(words in str(error.orig) for words in OF_DAMAGE):
                raise
            yield f"table {table.name}: {error.orig}"


def _fault(column: Column[Any], value: Any, hint: str) -> str:
    """Return what is wrong with a value as the driver gives it; `hint` is the annotation of its attribute."""
    if value is None:
        return "" if column.nullable else "is empty"
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    shown = repr(value)[:80]
    if isinstance(kind, Enum):
        return "" if value in kind.enums else f"is {shown}"
    if isinstance(kind, DateTime):
        return "" if _is_moment(value) else f"is no time: {shown}"
    if isinstance(kind, JSON):
        return _fault_of_json(value, hint, shown)
    expected = next((types for each, types in _STORED_AS if isinstance(kind, each)), (object,))
    if not isinstance(value, expected):
        return f"has the wrong type: {shown}"
    is_key = column.primary_key or column.foreign_keys
    if is_key and isinstance(kind, String) and kind.length == _ID_LENGTH and not _ID.fullmatch(str(value)):
        return f"is no id: {shown}"
    return ""


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, datetime) or bool(datetime.fromisoformat(value))
    except (ValueError, TypeError):
        return False


def _fault_of_json(value: Any, hint: str, shown: str) -> str:
    try:
        content = json.loads(value) if isinstance(value, str | bytes) else value
    except ValueError:
        return f"is no JSON: {shown}"
    if content is None and "None" in hint:
        return ""
    expected = dict if "dict[" in hint else list
    return "" if isinstance(content, expected) else f"has the wrong type: {shown}"
