"""People, what they did, and logins that ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import String, Text

from db.actors import Role
from db.columns import Base, enum_column, new_id, utc_now


class Person(Base):
    """Somebody who has logged in. `subject` is the issuer and its id for them, which no other person ever gets.

    `email` is empty where the provider has not verified it; `role` is one of `db.actors.Role`.
    """

    __tablename__ = "people"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    subject: Mapped[str] = mapped_column(String(600), unique=True)
    email: Mapped[str] = mapped_column(String(320), default="")
    name: Mapped[str] = mapped_column(String(200), default="")
    role: Mapped[Role] = mapped_column(enum_column(Role))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)


class AuditEntry(Base):
    """Who did what to which object, and when. Never changed; it outlives the person and the object."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    person_id: Mapped[str] = mapped_column(String(32), default="")
    who: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(1024))
    detail: Mapped[str] = mapped_column(Text, default="")


class EndedLogin(Base):
    """A login that was ended before its cookie expired. `key` is a hash of the cookie."""

    __tablename__ = "ended_logins"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    ended_at: Mapped[datetime] = mapped_column(default=utc_now)
