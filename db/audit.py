"""Who did what, and when. An entry is written in the transaction of the change that it records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from db.actors import MACHINE, Actor
from db.models import AuditEntry

LONGEST_SEARCH = 200

T = TypeVar("T")


def actor_of(session: Session) -> Actor:
    """Return in whose name a transaction writes (see `db.session.Database.writing`)."""
    actor: Actor = session.info.get("actor", MACHINE)
    return actor


def record(session: Session, action: str, kind: str, object_id: str, name: str, detail: str = "") -> None:
    """Add a line: `action` is a word such as "imported", `kind` and `object_id` the row, `name` what it was called."""
    actor = actor_of(session)
    session.add(
        AuditEntry(
            person_id=actor.id,
            who=actor.name,
            action=action,
            kind=kind,
            object_id=object_id,
            name=name,
            detail=detail,
        )
    )


def entries(session: Session, search: str = "", limit: int | None = None, offset: int = 0) -> Sequence[AuditEntry]:
    """Return lines that hold every word of `search` somewhere, newest first."""
    query = _matching(select(AuditEntry), search).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
    return session.scalars(query.limit(limit).offset(offset)).all()


def count(session: Session, search: str = "") -> int:
    """Return how many lines hold every word of `search`."""
    return session.scalar(_matching(select(func.count(AuditEntry.id)), search)) or 0


def _matching(query: Select[T], search: str) -> Select[T]:
    columns = (AuditEntry.who, AuditEntry.action, AuditEntry.kind, AuditEntry.object_id, AuditEntry.name)
    for word in search[:LONGEST_SEARCH].split():
        query = query.where(or_(*(column.icontains(word, autoescape=True) for column in (*columns, AuditEntry.detail))))
    return query
