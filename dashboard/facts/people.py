"""The meaning of roles, and the audit log as CSV."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db import audit
from db.actors import Role
from engine.exports.tables import as_csv

MEANING = {
    Role.NONE: "No access.",
    Role.VIEWER: "Sees everything and downloads.",
    Role.EDITOR: "Sees everything, downloads, imports, labels, trains, predicts and deletes.",
    Role.ADMIN: "Does all that an editor does, sets roles, and imports folders of the server.",
}


def audit_csv(session: Session, search: str) -> str:
    """Return the audit entries that contain every word of `search` as CSV, with times in UTC."""
    table = [
        [f"{row.at:%Y-%m-%d %H:%M:%S}", row.who, row.action, row.kind, row.name, row.detail, row.object_id]
        for row in audit.entries(session, search)
    ]
    return as_csv(["time (UTC)", "who", "action", "kind", "name", "detail", "id"], table)
