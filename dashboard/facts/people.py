"""What the People page shows: who may do what, and who did what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from db import audit, people
from db.actors import Role
from engine.exports.tables import as_csv

PER_PAGE = 50
MEANING = {
    Role.NONE: "May not come in.",
    Role.VIEWER: "Sees everything and downloads.",
    Role.EDITOR: "Sees everything, downloads, imports, labels, trains, predicts and deletes.",
    Role.ADMIN: "Does all that an editor does, sets roles, and imports folders of the machine itself.",
}


@dataclass(frozen=True)
class PersonRow:
    """One person. `email` is empty where the identity provider does not vouch for it."""

    id: str
    name: str
    email: str
    role: Role
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class AuditRow:
    """Who did what to which object, and when (UTC)."""

    at: datetime
    who: str
    action: str
    kind: str
    name: str
    detail: str
    object_id: str


def everybody(session: Session) -> list[PersonRow]:
    """Return everybody who has ever logged in, by name."""
    return [
        PersonRow(each.id, each.name, each.email, Role(each.role), each.created_at, each.last_seen_at)
        for each in people.listing(session)
    ]


def audit_rows(session: Session, search: str, page: int | None = None) -> list[AuditRow]:
    """Return the lines of the audit that hold every word of `search`, newest first: one page of them, or all."""
    limit, offset = (None, 0) if page is None else (PER_PAGE, (page - 1) * PER_PAGE)
    return [
        AuditRow(each.at, each.who, each.action, each.kind, each.name, each.detail, each.object_id)
        for each in audit.entries(session, search, limit, offset)
    ]


def audit_count(session: Session, search: str) -> int:
    """Return how many lines of the audit hold every word of `search`."""
    return audit.count(session, search)


def audit_csv(session: Session, search: str) -> str:
    """Return the lines of the audit that hold every word of `search` as CSV, with times in UTC."""
    table = [
        [f"{row.at:%Y-%m-%d %H:%M:%S}", row.who, row.action, row.kind, row.name, row.detail, row.object_id]
        for row in audit_rows(session, search)
    ]
    return as_csv(["time (UTC)", "who", "action", "kind", "name", "detail", "id"], table)
