"""What all tables share: ids, moments, choices, and the names of constraints."""

from __future__ import annotations

import enum
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import JSON, DateTime, Enum, TypeDecorator


def new_id() -> str:
    """Return a fresh id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


_ahead = timedelta(0)


def set_clock(ahead: timedelta) -> None:
    """Let `utc_now` of this process go by a clock that is `ahead` of this machine's: the one of its database."""
    global _ahead
    _ahead = ahead


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC) + _ahead


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; SQLite itself stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("A moment needs a time zone.")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}


def enum_column(kind: type[enum.StrEnum]) -> Enum:
    """Return the type of a column that holds the value of a member, as text."""
    return Enum(kind, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])
